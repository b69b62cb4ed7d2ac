"""A patch model, and its sidecar: what a model file cannot say of itself."""
