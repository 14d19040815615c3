"""Adapters: one folder for each external system, with an injected client; none knows another system's, or Airflow."""
