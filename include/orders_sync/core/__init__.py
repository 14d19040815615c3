"""Pure functions and values of the orders sync: no database, no HTTP, no clock."""
