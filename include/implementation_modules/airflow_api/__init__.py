"""Airflow's own REST API, for what a person would look up in its UI."""
