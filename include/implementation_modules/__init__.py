"""Adapters: one folder for each external system, its client injected; none knows another one, or Airflow."""
