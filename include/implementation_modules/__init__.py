"""Adapters: one external system per file, client injected, never airflow."""
