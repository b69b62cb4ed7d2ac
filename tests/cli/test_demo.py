"""The demo leaves pictures and a summary of what was measured, and says when a result is not verified."""

from __future__ import annotations

import imageio.v3 as iio
import pytest

from napari_fcnseg.cli import demo
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.samples import SAMPLES


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_without_a_window_it_segments_verifies_and_leaves_pictures(name, tmp_path, capsys) -> None:
    assert demo.show(name, tmp_path / "new", window=False) == 0
    rows, columns = SAMPLES[name].image().shape[:2]
    picture = iio.imread(tmp_path / "new" / "segmentation.png")
    assert picture.shape == (rows, 3 * columns + 2 * 8, 3)
    overlay_differs = (picture[:, -columns:] != picture[:, :columns]).any()
    assert overlay_differs
    summary = (tmp_path / "new" / "summary.txt").read_text(encoding="utf-8")
    assert "Conversion check passed: 256 of 256 labels" in summary
    assert capsys.readouterr().out == summary


def test_cells_are_found_as_they_were_drawn(tmp_path) -> None:
    demo.show("cells", tmp_path, window=False)
    (line,) = [li for li in (tmp_path / "summary.txt").read_text(encoding="utf-8").splitlines() if "Ground truth" in li]
    assert float(line.split()[2].rstrip("%")) > 95


def test_a_demo_takes_the_place_of_another_one_and_of_nothing_else(tmp_path) -> None:
    first, second = sorted(SAMPLES)
    for name in ("window.png", "segmentation.png"):
        (tmp_path / name).write_bytes(b"of the other sample")
    (tmp_path / "summary.txt").write_text(f"Sample           {SAMPLES[first].title}, 1 × 1 uint8\n", encoding="utf-8")
    assert demo.show(second, tmp_path, window=False) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["segmentation.png", "summary.txt"]
    assert SAMPLES[second].title in (tmp_path / "summary.txt").read_text(encoding="utf-8")
    (tmp_path / "summary.txt").write_text("Sample of mine\n", encoding="utf-8")
    with pytest.raises(OutputError, match="exists already"):
        demo.show(second, tmp_path, window=False)


def test_an_unknown_sample_and_a_bad_folder_are_said(tmp_path) -> None:
    with pytest.raises(SettingsError, match="cells"):
        demo.show("fish", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        demo.show("cells", tmp_path / "file", window=False)
