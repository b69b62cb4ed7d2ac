"""The compare dock: which masks, how they differ to the eye and by number, and what is kept of it."""
