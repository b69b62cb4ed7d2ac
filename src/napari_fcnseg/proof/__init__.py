"""Compare results with the patch model itself: verification, certificates, the error of inexact arithmetic."""
