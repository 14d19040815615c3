"""The code that Airflow runs: DAG factories, task functions, retries, notifications.

Only this package imports Airflow at the top of its modules; `wiring` does so inside of functions.
"""
