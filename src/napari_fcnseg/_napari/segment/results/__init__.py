"""What comes out: layers, provenance, certificates, files, instances, undo."""
