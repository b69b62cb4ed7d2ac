"""Views of how masks differ: flicker, a swipe line, linked views side by side, and a walk to the worst places."""
