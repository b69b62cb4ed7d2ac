"""The part of the dock that teaches a model with strokes."""
