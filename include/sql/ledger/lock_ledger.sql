-- Keep all other sessions from taking a fence or a new id until this transaction ends; they can still read.
LOCK TABLE pipeline_lifecycle IN EXCLUSIVE MODE
