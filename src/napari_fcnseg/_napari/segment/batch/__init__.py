"""Many images: the batch window."""
