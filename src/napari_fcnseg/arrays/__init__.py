"""Arrays that are read piece by piece: frames of an image, what surrounds them, and lazy maps."""
