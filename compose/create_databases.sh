#!/bin/bash
# Run once by the Postgres image, on an empty data volume: a database and its owner for Airflow, the ledger, the orders.
set -eu

create_database() {
    psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
        --set=name="$1" --set=password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
}

create_database airflow "$AIRFLOW_DATABASE_PASSWORD"
create_database ledger "$LEDGER_DATABASE_PASSWORD"
create_database orders "$ORDERS_DATABASE_PASSWORD"
