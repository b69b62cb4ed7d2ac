"""A virtual screen for each worker of pytest-xdist, so that no other one takes the keyboard from its windows.

Importing this opens it, before anything of Qt is imported. Where somebody looks on, there is one real screen for all.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).resolve().parent.parent / "tools"))

from with_display import HEADLESS, virtual_display

#: Whether nobody looks on.
HIDDEN: Final = os.environ.get(HEADLESS, "0") not in ("", "0")
#: Whether this process has a screen of its own.
OWN: Final = HIDDEN and "PYTEST_XDIST_WORKER" in os.environ
_open = ExitStack()
if OWN:
    _server = shutil.which("Xvfb")
    assert _server is not None, "make display installs it"
    _folder = _open.enter_context(tempfile.TemporaryDirectory(prefix="napari-fcnseg-screen-"))
    os.environ.update(_open.enter_context(virtual_display(_server, Path(_folder))))

close = _open.close
