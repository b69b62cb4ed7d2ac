"""Programs that PyTorch exported (``.pt2``): a graph in JSON and arrays in bytes."""
