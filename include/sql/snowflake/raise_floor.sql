-- Refuse fences below the floor from now on; a floor never goes down.
UPDATE {receipts}
SET fence_floor = GREATEST(fence_floor, %(floor)s), written_at = SYSDATE()
WHERE kind = 'guard' AND source_object = %(source_object)s
