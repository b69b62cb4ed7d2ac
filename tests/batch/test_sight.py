"""A worker that sees other images or another folder than the head takes no part, and says which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_fcnseg.batch.sight import check_sight, sight_of
from napari_fcnseg.errors import ClusterError, OutputError

IMAGES = [f"{number}.tif" for number in range(10)]


def described(name: str) -> list[object]:
    return [[name], {"bytes": len(name)}]


def same(image: list[object]) -> bool:
    return image == described(image[0][0])  # type: ignore[index]


def test_who_sees_the_same_takes_part_and_nothing_is_left(tmp_path) -> None:
    with sight_of(tmp_path, IMAGES, described) as sight:
        assert [image[0][0] for image in sight["images"]] == ["0.tif", "3.tif", "6.tif", "9.tif"]
        check_sight(sight, same)
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(ClusterError, match=r"does not see the folder of the results, .*under the same path"):
        check_sight(sight, same)


def test_who_sees_another_image_or_cannot_write_is_told(tmp_path, monkeypatch) -> None:
    def unreadable(image: list[object]) -> bool:
        raise OSError

    with sight_of(tmp_path, IMAGES, described) as sight:
        for blind in (lambda image: image[0] != ["6.tif"], unreadable):
            with pytest.raises(ClusterError, match=r"does not see the image (6|0)\.tif as the head does"):
                check_sight(sight, blind)

        def full(path: Path) -> None:
            raise OSError(30, os.strerror(30))

        monkeypatch.setattr(Path, "touch", full)
        with pytest.raises(ClusterError, match=r"cannot write into .*the disk can only be read"):
            check_sight(sight, same)
    with pytest.raises(OutputError, match="cannot be written"), sight_of(tmp_path, IMAGES, described):
        pass
