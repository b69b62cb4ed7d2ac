"""The model step of the dock: files, samples, recent ones, names and colours, what became of each layer."""
