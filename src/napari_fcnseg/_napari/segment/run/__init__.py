"""Where and how to run, what it will take, and the run itself in a worker."""
