-- Choose the schema of unqualified names, those of temporary tables.
USE SCHEMA {place}
