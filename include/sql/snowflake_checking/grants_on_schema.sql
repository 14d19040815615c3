-- List who may do what with the schema.
SHOW GRANTS ON SCHEMA {place}
