"""GPU requests in Dockerfiles, compose files and Kubernetes manifests that cannot work, or will not work as meant."""
