"""TensorFlow's SavedModel and its checkpoint."""
