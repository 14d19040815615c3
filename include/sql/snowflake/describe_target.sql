-- Read the present columns of the target: among others their name, their type, and whether they accept NULL.
DESCRIBE TABLE {target}
