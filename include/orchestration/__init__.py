"""The code that Airflow runs: DAG factories, task functions, retries, notifications; nothing else imports Airflow."""
