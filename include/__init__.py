"""The shared package behind every DAG: framework, adapters, pipelines and SQL."""
