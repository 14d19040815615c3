-- Count the middles of January and July at which AT TIME ZONE reads this name differently from the session's zone of
-- the same name: AT TIME ZONE prefers an abbreviation with a fixed offset to a zone of that name.
SELECT COUNT(*) FILTER (WHERE at AT TIME ZONE %(timezone)s <> at::TIMESTAMP) AS differing
FROM GENERATE_SERIES('1970-01-15 00:00:00+00', '2040-07-15 00:00:00+00', '6 months'::INTERVAL) AS at
