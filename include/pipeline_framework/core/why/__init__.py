"""Why a window is in its state, in words."""
