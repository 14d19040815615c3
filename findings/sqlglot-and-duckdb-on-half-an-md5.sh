#!/usr/bin/env bash
# sqlglot 30.22.0, duckdb 2.0.0, Python 3.11 or newer.
#
# Guess:    Snowflake's `MD5_NUMBER_UPPER64(x)` (the first 64 bits of an md5 as a number, a handy row hash) becomes DuckDB's
#           `md5_number_upper(x)` when sqlglot translates it, and both give the same number.
# Seen:     sqlglot writes a function that no database has, `M_D5_NUMBER_UPPER64`: it makes the name of its own class
#           `MD5NumberUpper64` from camel case, splitting "MD5". The same for `MD5_NUMBER_LOWER64`, and for Postgres.
#           Put right by hand, the number is another one: DuckDB reads the eight bytes from the last to the first, the
#           hexadecimal digest (and Snowflake's documentation) from the first to the last. Upper and lower mean the same halves.
# Output:   duckdb: SELECT M_D5_NUMBER_UPPER64('a')   postgres: SELECT M_D5_NUMBER_UPPER64('a')
#           md5('a') 0cc175b9c0f1b6a831c399e269772661
#           first half, first byte first 919145239626757800; DuckDB's md5_number_upper 12157170054180749580
# Way out:  `CAST('0x' || substr(md5(x), 1, 16) AS UBIGINT)` in DuckDB.
#
# Fails when sqlglot knows a name for DuckDB, or DuckDB gives the digest's number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlglot==30.22.0 duckdb==2.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import hashlib

import duckdb
import sqlglot

written = {
    to: sqlglot.transpile("SELECT MD5_NUMBER_UPPER64('a')", read="snowflake", write=to)[0] for to in ("duckdb", "postgres")
}
print("   ".join(f"{to}: {text}" for to, text in written.items()))
assert all(text == "SELECT M_D5_NUMBER_UPPER64('a')" for text in written.values()), written

digest = hashlib.md5(b"a").hexdigest()
first_byte_first = int(digest[:16], 16)
(found, way_out), = duckdb.sql(
    "SELECT md5_number_upper('a'), CAST('0x' || substr(md5('a'), 1, 16) AS UBIGINT)"
).fetchall()
print(f"md5('a') {digest}")
print(f"first half, first byte first {first_byte_first}; DuckDB's md5_number_upper {found}")
assert found == int.from_bytes(bytes.fromhex(digest)[:8], "little") != first_byte_first, found
assert way_out == first_byte_first, way_out
PYTHON
