"""Patch network to dense network: one pure rule per operation, no framework."""
