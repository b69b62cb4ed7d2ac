"""How Sphinx builds the documentation (``make docs``). Nothing is fetched: no fonts, no scripts."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))

project = "napari-fcnseg"
author = "napari-fcnseg developers"
copyright = author
release = importlib.metadata.version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_argparse_cli",
    "sphinx_copybutton",
    "fcnseg_tables",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
suppress_warnings = ["ref.python"]  # words such as "classes" in a shape are no links
exclude_patterns = ["_ext"]

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3  # a link to a heading that is gone is a warning, and so an error

autodoc_typehints = "none"  # the docstrings say the types, with shapes
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

highlight_language = "bash"  # of blocks that say nothing: commands
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["fcnseg.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
