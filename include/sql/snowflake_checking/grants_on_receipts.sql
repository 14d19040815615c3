-- List who may do what with the receipts table.
SHOW GRANTS ON TABLE {receipts}
