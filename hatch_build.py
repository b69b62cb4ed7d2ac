"""Give the package the project's addresses, all made from the one in ``[tool.napari-fcnseg]`` of pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Addresses(MetadataHookInterface):
    """Fills in ``[project.urls]``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the addresses."""
        settings = tomllib.loads((Path(self.root) / "pyproject.toml").read_text(encoding="utf-8"))
        repository = settings["tool"]["napari-fcnseg"]["repository"].rstrip("/")
        metadata["urls"] = {
            "Homepage": repository,
            "Documentation": f"{repository}/blob/main/docs/index.md",
            "Source": repository,
            "Bug Tracker": f"{repository}/issues",
            "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        }
