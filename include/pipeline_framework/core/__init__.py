"""Pure functions and values: no I/O, no Airflow, and `now` is always a parameter."""
