"""Results in the dock: layers, provenance, certificates, files, instances, undo."""
