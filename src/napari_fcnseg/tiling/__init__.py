"""Image shape and geometry to tiles, and tiles to an image."""
