"""Find out whether a tag can be released: ``python tools/check_release.py v0.1.0``. Standard library only."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return what stands against the release, as sentences."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    version, repository = project["project"]["version"], project["tool"]["napari-fcnseg"]["repository"]
    cited = re.search(r"^version: (\S+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    heading = f"## {version} ("
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = []
    if tag != f"v{version}":
        found.append(f"The tag is {tag}, and pyproject.toml has version {version}.")
    if cited is None or cited[1] != version:
        found.append(f"CITATION.cff does not have version {version}.")
    if heading not in changes or f"{heading}unreleased)" in changes:
        found.append(f"CHANGELOG.md has no date for {version}.")
    if "OWNER" in repository:
        found.append("The repository's address in pyproject.toml, [tool.napari-fcnseg], is still a placeholder.")
    if "CONTACT-ADDRESS" in (root / "CODE_OF_CONDUCT.md").read_text(encoding="utf-8"):
        found.append("CODE_OF_CONDUCT.md does not say whom to write to.")
    return found


def main() -> int:
    """Print what stands against the release; return how it went."""
    found = problems(sys.argv[1])
    print("\n".join(found) or "Ready.", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
