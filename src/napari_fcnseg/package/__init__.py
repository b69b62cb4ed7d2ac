"""A patch model's dense network as a bioimage.io package, for other programs to run."""
