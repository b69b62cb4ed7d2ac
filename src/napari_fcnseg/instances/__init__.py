"""Labels to single objects."""
