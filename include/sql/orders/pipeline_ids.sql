-- Read the ids of the two pipelines by their code (requirement 5, B).
SELECT p.code, p.id FROM pipelines AS p WHERE p.code = ANY(%(codes)s)
