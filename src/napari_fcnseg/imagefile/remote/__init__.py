"""Zarr images on other computers, read through fsspec: nothing is ever written there."""
