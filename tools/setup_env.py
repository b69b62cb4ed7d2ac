"""Make ``.venv`` in the checkout: a virtual environment with the program, napari with Qt, and what developers need.

Run by ``make env`` with whatever ``python3`` the machine has, so this file keeps to the standard library and to a
syntax that an old Python can read far enough to be told that it is too old.
"""

from __future__ import annotations

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
VENV = ROOT / ".venv"
STAMP = VENV / "napari-fcnseg.json"
REQUIREMENT = ".[all,dev]"
OLDEST, NEWEST = (3, 11), (3, 13)


def main() -> int:
    """Bring ``.venv`` up to date; at once when it already is."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return run_with_another_python()
    wanted = describe()
    found = read_stamp()
    if found == wanted and venv_python().exists():
        return 0
    if not usable(found, wanted):
        ensure_venv_module()
        say(f"making .venv with Python {sys.version.split()[0]}")
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    say("installing napari-fcnseg, napari, TensorFlow and the development tools into .venv")
    install()
    STAMP.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    say("environment ready: .venv")
    return 0


def run_with_another_python() -> int:
    """Start again under a Python that will do, or say in one sentence that there is none."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        python = shutil.which(f"python3.{minor}")
        # A version manager's shim may exist without the Python behind it: ask it.
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return subprocess.call([python, __file__])
    have = ".".join(str(part) for part in sys.version_info[:3])
    say(
        f"napari-fcnseg needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, and python3 here is {have}: "
        "install one of them, or name it with `make PYTHON=/path/to/python3.12`."
    )
    return 1


def describe() -> dict[str, str]:
    """Return what the environment depends on. A virtual environment cannot be moved, so its place is part of it."""
    return {
        "python": sys.version.split()[0],
        "place": str(ROOT),
        "requirement": REQUIREMENT,
        "pyproject": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
    }


def read_stamp() -> dict[str, str]:
    """Return what the last finished installation wrote, or nothing."""
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def usable(found: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether the environment that is there only needs its packages brought up to date."""
    return venv_python().exists() and all(found.get(key) == wanted[key] for key in ("python", "place"))


def venv_python() -> Path:
    """Return the environment's own interpreter."""
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def ensure_venv_module() -> None:
    """Debian and Ubuntu split ``ensurepip`` off into a package that a fresh machine lacks: install it, or say how."""
    if all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        return
    package = f"python3.{sys.version_info[1]}-venv"
    if not apt_install([package], why="Python's venv module, to make the environment"):
        raise SystemExit(1)
    importlib.invalidate_caches()


def install() -> None:
    """Install with uv, which takes half a minute; with pip, which takes minutes, where uv cannot do it."""
    python = str(venv_python())
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    environment = dict(os.environ, UV_HTTP_TIMEOUT=os.environ.get("UV_HTTP_TIMEOUT", "180"), UV_NO_PROGRESS="1")
    if subprocess.run([*pip, "uv"], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0:
        uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--editable", REQUIREMENT]
        if subprocess.run(uv, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment, check=False).returncode == 0:
            return
    say("uv could not install everything; trying pip, which takes a few minutes")
    run([*pip, "--editable", REQUIREMENT])


def run(command: list[str]) -> None:
    """Run a command to its end; its own message is enough when it fails."""
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        say(f"this failed with exit code {code}: {' '.join(command)}")
        raise SystemExit(1)


def say(sentence: str) -> None:
    """Tell the person at the terminal, in order with what the commands print."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
