-- Read the target's columns: number, name, type and more.
PRAGMA TABLE_INFO ({target})
