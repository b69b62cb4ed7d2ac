"""A comparison for readers: plots, pictures, an HTML page."""
