"""Adapters: one folder for each external system, with an injected client; none imports another folder, or Airflow."""
