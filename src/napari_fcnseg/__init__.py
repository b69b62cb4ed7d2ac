"""Run a trained patch classifier densely over whole images: exact, fast, proven."""
