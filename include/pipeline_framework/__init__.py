"""Technology-agnostic framework: it knows no Elasticsearch, no SQL dialect and, outside `orchestration`, no Airflow."""
