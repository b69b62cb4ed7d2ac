"""Packages of bioimage.io: a description, weights and what belongs to them, in an archive or a folder."""
