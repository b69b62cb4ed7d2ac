"""The patch network as inert data: typed operations, nodes, NumPy weights, geometry."""
