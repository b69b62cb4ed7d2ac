"""Dense network to numbers: the compiled network on a device, in a process of its own."""
