"""The ledger in Postgres: every port that reads or writes `pipeline_lifecycle` and the tables beside it."""
