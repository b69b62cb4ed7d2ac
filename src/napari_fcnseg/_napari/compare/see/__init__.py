"""How masks differ to the eye: flicker, a swipe line, linked views side by side, and a walk to the worst places."""
