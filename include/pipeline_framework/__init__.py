"""The framework: use cases, ports, configuration and rules. It knows no Elasticsearch, no SQL dialect, no Airflow."""
