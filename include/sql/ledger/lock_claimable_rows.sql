-- Lock the windows to claim; rows that another claim has locked are skipped.
{claimable_rows}
FOR UPDATE SKIP LOCKED
