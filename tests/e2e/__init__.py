"""A package, so that its package-wide fixture (Airflow) ends with the last of its tests."""
