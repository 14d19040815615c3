-- List the schemas of a database that the role may see.
SHOW SCHEMAS IN DATABASE {database}
