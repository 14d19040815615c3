"""Use cases: one module per DAG task, ports in, plain data out; no Airflow, no adapter."""
