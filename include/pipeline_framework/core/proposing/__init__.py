"""Propose a new pipeline's settings from what was seen of its source."""
