-- At how many of the middles of January and July AT TIME ZONE means something else by this name than the zone of the session
-- (whose name it is): there an abbreviation with a fixed offset comes before a zone of the same name.
SELECT COUNT(*) FILTER (WHERE at AT TIME ZONE %(timezone)s <> at::TIMESTAMP) AS differing
FROM GENERATE_SERIES('1970-01-15 00:00:00+00', '2040-07-15 00:00:00+00', '6 months'::INTERVAL) AS at
