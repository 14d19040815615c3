-- Insert one staged line, whose values are already typed.
INSERT INTO {landed} (_lifecycle_id, _id, _id_hash, _event_at, doc{columns}) VALUES (?, ?, ?, ?, ?{marks})
