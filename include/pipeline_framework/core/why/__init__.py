"""Explanations of why a window is in its state, in words."""
