"""Use cases of the orders sync: ports in, plain data out."""
