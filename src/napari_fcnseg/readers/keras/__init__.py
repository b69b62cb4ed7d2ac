"""Keras models: their architecture from JSON, their weights from HDF5."""
