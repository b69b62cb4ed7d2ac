"""Files of unknown origin: bounded, checked access to archives, folders, HDF5 and protocol buffers."""
