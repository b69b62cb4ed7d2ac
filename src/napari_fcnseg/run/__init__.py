"""Doing what a plan says: tiles on devices, their numbers as labels, and what is kept of them."""
