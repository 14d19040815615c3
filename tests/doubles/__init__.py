"""In-memory doubles of the ports, held to the same contracts as the real adapters."""
