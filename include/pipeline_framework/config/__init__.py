"""Pipeline files: models, loader, derived columns, JSON schema and the scaffold of a new pipeline."""
