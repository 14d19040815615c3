-- Let the planner know how much there is by now: after a dry run the tables look empty to it.
SELECT pipeline_lifecycle_import_know_sizes()
