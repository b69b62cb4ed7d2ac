"""Run a tool of the project's environment, on any system: ``python tools/in_env.py ruff check``. For pre-commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the tool, and return its exit code."""
    folder = Path(__file__).resolve().parent.parent / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    tool = folder / (sys.argv[1] + (".exe" if os.name == "nt" else ""))
    if not tool.exists():
        print(f"{sys.argv[1]} is not in .venv yet: run `make env` once.", file=sys.stderr)
        return 1
    return subprocess.call([str(tool), *sys.argv[2:]])


if __name__ == "__main__":
    sys.exit(main())
