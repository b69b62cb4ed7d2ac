"""The image step of the dock: layers, axes, values, pixel size."""
