"""Deciding how an image is computed: axes, tiles and their order, mask, method, memory."""
