"""Model files to inert graphs: one file per format; nothing a file holds is ever run."""
