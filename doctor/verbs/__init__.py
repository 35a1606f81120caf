"""One file per verb of the command line; see CONTRIBUTING.md."""
