"""Airflow DAG of include/pipelines/replay.yaml; its manual is the DAG's documentation page."""

from include.orchestration.data_pipeline import data_pipeline

dag = data_pipeline("replay")
