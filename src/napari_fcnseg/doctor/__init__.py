"""What there is to compute with on this computer, and what mends what is missing."""
