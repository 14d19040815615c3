-- Refuse fences below the floor from now on; a floor never goes down.
UPDATE {receipts}
SET
    fence_floor = CASE WHEN fence_floor < %(floor)s THEN %(floor)s ELSE fence_floor END,
    written_at = {clock}
WHERE kind = 'guard' AND source_object = %(source_object)s
