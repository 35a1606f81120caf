"""gpu-doctor: why a GPU container fails, and how to fix it."""
