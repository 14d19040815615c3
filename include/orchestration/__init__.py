"""What Airflow runs: DAG factories, task functions, retries and notifications; nothing else imports Airflow."""
