"""Files for the readers: written by Keras once per session, or forged without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from readers.reader_keras_files import NAMES, cannot, write_one

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def keras_files(keras_child: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of small models as Keras 3 writes them."""
    folder = tmp_path_factory.mktemp("keras_files")
    for name in NAMES:
        if not cannot(name):
            keras_child(write_one, name, folder)
    return folder
