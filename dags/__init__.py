"""One DAG per file; a pipeline is a three-line `data_pipeline_<id>.py` beside its YAML file."""
