"""Teaching: strokes on images, and the patch model that follows from them."""
