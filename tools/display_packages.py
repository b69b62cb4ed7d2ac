"""See to it that this machine can open a real window: the libraries Qt needs and, without a screen, a virtual one.

The libraries are looked for the way Qt will, by their file names, so any Linux where they are present is left alone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys

from system_packages import apt_install, say
from with_display import has_display

#: What PyQt6 and OpenGL load from the system (ldd on Qt's libxcb plugin says so), and the package of Debian and Ubuntu
#: that has it. A bare Debian has none of them; the libraries these need in turn come with their packages.
LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0t64|libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",  # PyQt5, which old versions of napari bring
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
#: A virtual display; what napari's canvas asks for its resolution; and a font, without which Qt draws empty boxes.
VIRTUAL_DISPLAY = ("xvfb", "x11-utils", "fonts-dejavu-core")


def main() -> int:
    """Return 0 when a window can be opened, 1 when it cannot and could not be helped."""
    if not sys.platform.startswith("linux"):
        return 0
    missing = missing_packages()
    if not missing or apt_install(missing, why="what a window needs (Qt's libraries, a virtual display)"):
        return 0
    if has_display(os.environ):
        say("Going on all the same, since there is a display.")
        return 0
    return 1


def missing_packages() -> list[str]:
    """Return the packages that hold what is not on this machine, each once."""
    missing = [package for library, package in LIBRARIES.items() if not loads(library)]
    if not has_display(os.environ) and shutil.which("Xvfb") is None:
        missing += VIRTUAL_DISPLAY
    return list(dict.fromkeys(missing))


def loads(library: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
