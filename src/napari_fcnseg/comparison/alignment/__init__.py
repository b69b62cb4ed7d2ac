"""Align maps of different sizes, scales and positions on one grid."""
