"""Properties on a busy machine: no deadline per example, and as many examples as fast tests can pay for."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=60, database=None)
settings.load_profile("unit")
