"""A patch model and its sidecar."""
