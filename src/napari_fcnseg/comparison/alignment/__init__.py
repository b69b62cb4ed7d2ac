"""Maps of other sizes, scales and places on one grid."""
