"""The gallery's window."""
