"""Continuity, that every day is covered: findings of the state manager, and their remedies."""
