"""Which models: files, samples, recent ones, names and colours, what became of each layer."""
