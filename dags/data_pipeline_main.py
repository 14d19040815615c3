"""Airflow DAG of include/pipelines/main.yaml; its manual is the DAG's documentation page."""

from include.orchestration.data_pipeline import data_pipeline

dag = data_pipeline("main")
