"""TensorFlow Lite (``.tflite``): a graph and its arrays in one flatbuffer."""
