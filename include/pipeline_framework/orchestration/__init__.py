"""The only package that imports Airflow: wiring, connections, retry policy, notifications, and the DAG factories."""
