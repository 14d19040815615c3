-- Insert the guard row of the source object once; the unique index decides between two sessions.
INSERT INTO {receipts} (kind, source_object) VALUES ('guard', %(source_object)s)
ON CONFLICT DO NOTHING
