"""napari's layers as images for the core: axes, channels, geometry, metadata. Free of Qt."""
