"""The segmentation dock and its dialogs."""
