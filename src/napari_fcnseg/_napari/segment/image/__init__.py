"""What feeds the model: layers, axes, values, pixel size, and where a layer lies."""
