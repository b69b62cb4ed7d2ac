"""How far a result is from the patch model itself: verification, certificates, the cost of inexact arithmetic."""
