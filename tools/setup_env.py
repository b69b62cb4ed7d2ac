"""Make a virtual environment in the checkout with the program, napari with Qt, and what developers need.

``--versions pinned`` (the default) makes ``.venv`` with the versions named in ``constraints/``, so that it is the same
on any day; ``lowest`` makes ``.venv-lowest`` with the oldest versions ``pyproject.toml`` admits, and ``newest`` makes
``.venv-newest`` with the newest of today. Run by make with whatever ``python3`` the machine has, so this file keeps to
the standard library and to a syntax that an old Python can read far enough to be told that it is too old.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from system_packages import apt_install

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"pinned": ".venv", "lowest": ".venv-lowest", "newest": ".venv-newest"}
EXTRAS = ("all", "dev", "distributed", "formats", "package", "remote")
#: What installs, and what builds: the latter in the environment too, or the build would take that of the day.
INSTALLERS = ("pip", "uv")
BUILDERS = ("editables>=0.5", "hatchling>=1.27")
OLDEST, NEWEST = (3, 11), (3, 13)


def main(arguments: list[str]) -> int:
    """Bring one environment up to date; at once when it already is."""
    options = parse(arguments)
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return run_with(range(NEWEST[1], OLDEST[1] - 1, -1), arguments)
    if options.versions == "lowest" and not options.this_python:
        # The lowest versions have no builds for the newest Pythons.
        return run_with(range(OLDEST[1], NEWEST[1] + 1), arguments)
    place = ROOT / FOLDERS[options.versions]
    found = read_stamp(place)
    wanted = describe(options.versions, {*EXTRAS, *found.get("extras", "").split(), *options.extra})
    if found == wanted and python_of(place).exists():
        return 0
    # What is installed already counts for the installer as low enough: only an empty environment gets the lowest.
    if options.versions == "lowest" or not usable(place, found, wanted):
        ensure_venv_module()
        say(f"making {place.name} with Python {sys.version.split()[0]}")
        run([sys.executable, "-m", "venv", "--clear", str(place)])
    say(f"installing napari-fcnseg, napari, TensorFlow and the development tools into {place.name}")
    install(python_of(place), options.versions, wanted["extras"].split())
    stamp_of(place).write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    say(f"environment ready: {place.name}")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--versions", choices=sorted(FOLDERS), default="pinned", help="which environment to make")
    parser.add_argument("--extra", action="append", default=[], help="also install this extra of pyproject.toml")
    parser.add_argument("--this-python", action="store_true", help="look for no other Python than the one that runs")
    return parser.parse_args(arguments)


def run_with(minors: range, arguments: list[str]) -> int:
    """Start again under the first of these Pythons that is here, or say in one sentence that there is none."""
    for minor in minors:
        if sys.version_info[:2] == (3, minor):
            return main([*arguments, "--this-python"])
        python = shutil.which(f"python3.{minor}")
        # A version manager's shim may exist without the Python behind it: ask it.
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return subprocess.call([python, __file__, *arguments, "--this-python"])
    have = ".".join(str(part) for part in sys.version_info[:3])
    say(
        f"napari-fcnseg needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, and python3 here is {have}: "
        "install one of them, or name it with `make PYTHON=/path/to/python3.12`."
    )
    return 1


def describe(versions: str, extras: set[str]) -> dict[str, str]:
    """Return what the environment depends on. A virtual environment cannot be moved, so its place is part of it."""
    files = [ROOT / "pyproject.toml", Path(__file__)]
    if versions == "pinned":
        files.append(constraints())
    wanted = {"python": sys.version.split()[0], "place": str(ROOT), "extras": " ".join(sorted(extras))}
    for file in files:
        wanted[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    if versions == "newest":
        wanted["day"] = datetime.date.today().isoformat()
    return wanted


def constraints() -> Path:
    """Return the file with the version of every package for this Python, or say that there is none."""
    file = ROOT / "constraints" / f"python3.{sys.version_info[1]}.txt"
    if not file.is_file():
        say(f"There is no {file.relative_to(ROOT)} with the versions to install: `make lock` makes it.")
        raise SystemExit(1)
    return file


def stamp_of(place: Path) -> Path:
    """Return the file that says what was installed last."""
    return place / "napari-fcnseg.json"


def read_stamp(place: Path) -> dict[str, str]:
    """Return what the last finished installation wrote, or nothing."""
    try:
        found = json.loads(stamp_of(place).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def usable(place: Path, found: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether the environment that is there only needs its packages brought up to date."""
    return python_of(place).exists() and all(found.get(key) == wanted[key] for key in ("python", "place"))


def python_of(place: Path) -> Path:
    """Return the environment's own interpreter."""
    return place / "Scripts" / "python.exe" if os.name == "nt" else place / "bin" / "python"


def ensure_venv_module() -> None:
    """Debian and Ubuntu split ``ensurepip`` off into a package that a fresh machine lacks: install it, or say how."""
    if all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        return
    package = f"python3.{sys.version_info[1]}-venv"
    if not apt_install([package], why="Python's venv module, to make the environment"):
        raise SystemExit(1)
    importlib.invalidate_caches()


def requirements(extras: list[str]) -> list[str]:
    """Return what ``pyproject.toml`` asks for, the named extras among it."""
    import tomllib  # new in Python 3.11

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        say(f"pyproject.toml has no extra called {unknown[0]}: it has {', '.join(optional)}.")
        raise SystemExit(1)
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


def install(python: Path, versions: str, extras: list[str]) -> None:
    """Install with uv, which takes half a minute; with pip, which takes minutes, where uv cannot do it.

    First what the program needs, then the program itself, built by the tools that came with the first.
    """
    limits = ["--constraint", str(constraints())] if versions == "pinned" else []
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = [str(python), "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    itself = ["--no-deps", "--no-build-isolation", "--editable", "."]
    wanted = requirements(extras)
    os.environ.setdefault("UV_HTTP_TIMEOUT", "180")
    os.environ.setdefault("UV_NO_PROGRESS", "1")
    newer = ["--upgrade"] if versions == "newest" else []
    # Old sources may need a compiler: the lowest are those that have a build for this Python.
    lowest = ["--resolution", "lowest-direct", "--only-binary", ":all:"]
    with_uv = {"pinned": limits, "lowest": lowest, "newest": newer}[versions]
    if succeeds([*pip, *newer, *limits, *INSTALLERS]) and succeeds([*uv, *limits, *newer, *BUILDERS]):
        if succeeds([*uv, *with_uv, *wanted]):
            run([*uv, *itself])
            return
    if versions == "lowest":
        say("Only uv can choose the lowest versions, and it could not install them.")
        raise SystemExit(1)
    say("uv could not install everything; trying pip, which takes a few minutes")
    run([*pip, *newer, *limits, *BUILDERS, *wanted])
    run([*pip, *itself])


def succeeds(command: list[str]) -> bool:
    """Run a command to its end and return whether it did what it should."""
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


def run(command: list[str]) -> None:
    """Run a command that has to succeed; its own message is enough when it fails."""
    if not succeeds(command):
        say(f"this failed: {' '.join(command)}")
        raise SystemExit(1)


def say(sentence: str) -> None:
    """Tell the person at the terminal, in order with what the commands print."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
