"""Give the package the project's addresses, all made from the one in ``[tool.napari-fcnseg]`` of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!https?://|#)([^)]+)\)")


class Addresses(MetadataHookInterface):
    """Fills in ``[project.urls]``, and a README whose links lead somewhere on the package index, too."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the addresses."""
        root = Path(self.root)
        settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        repository = settings["tool"]["napari-fcnseg"]["repository"].rstrip("/")
        metadata["urls"] = {
            "Homepage": repository,
            "Documentation": f"{repository}/blob/main/docs/index.md",
            "Source": repository,
            "Bug Tracker": f"{repository}/issues",
            "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        }
        readme = (root / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_whole_links(readme, repository)}


def with_whole_links(markdown: str, repository: str) -> str:
    """Return Markdown whose links and pictures have whole addresses instead of paths in the repository."""

    def whole(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        return f"{picture}{words}({repository}/{'raw' if picture else 'blob'}/main/{path})"

    return _LINK.sub(whole, markdown)
