-- Update the planner's statistics: after a dry run the tables look empty to the planner.
SELECT pipeline_lifecycle_import_know_sizes()
