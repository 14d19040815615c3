"""A simulated CRM: the report APIs of both pipelines of the orders sync, over real HTTP, with the faults of a real one.

Nothing is stored: every row is a pure function of seed, store, date and the simulator's clock, so ten thousand stores
cost nothing until they are asked for, and the truth can be computed for any moment. `python -m local_stack.crm --help`
describes the data.
"""
