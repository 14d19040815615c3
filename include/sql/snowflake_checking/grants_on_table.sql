-- List who may do what with the target table.
SHOW GRANTS ON TABLE {target}
