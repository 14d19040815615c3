-- List the databases that the role may see. SHOW needs no warehouse.
SHOW DATABASES
