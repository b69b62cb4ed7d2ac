"""Scores: of pixels and classes, of boundaries, of single objects, of probabilities."""
