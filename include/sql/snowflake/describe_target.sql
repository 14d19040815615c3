-- The target's columns as they are by now: name, type, and whether NULL is taken, among others.
DESCRIBE TABLE {target}
