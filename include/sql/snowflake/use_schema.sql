-- Where unqualified names, those of temporary tables, belong.
USE SCHEMA {place}
