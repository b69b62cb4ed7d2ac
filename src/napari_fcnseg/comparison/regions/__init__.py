"""Connected regions, and how deep they are."""
