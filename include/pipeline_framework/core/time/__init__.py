"""Windows, days, durations, time zones and their rules."""
