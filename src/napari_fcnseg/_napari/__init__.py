"""Everything that knows napari, magicgui or Qt."""
