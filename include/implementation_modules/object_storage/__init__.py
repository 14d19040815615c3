"""Object storage, or a local directory, as a stage."""
