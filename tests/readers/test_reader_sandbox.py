"""Reading in a process of its own: the same result, the same refusals, and an end to what would never end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _keras_side import save_model
from patience import patience

from napari_fcnseg.errors import ModelFileError, SettingsError
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.sandbox import read_models
from napari_fcnseg.samples import SAMPLES

MODELS = [sample.model_path for sample in SAMPLES.values()]


def test_it_reads_what_the_reader_reads() -> None:
    for apart, here in zip(read_models(MODELS), map(read_model, MODELS), strict=True):
        assert [node.name for node in apart.nodes] == [node.name for node in here.nodes]
        for one, other in zip(apart.nodes, here.nodes, strict=True):
            for op, same in zip(one.ops, other.ops, strict=True):
                for name, value in vars(op).items():
                    np.testing.assert_equal(getattr(same, name), value)


def test_refusals_name_the_file_as_it_was_given(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.keras").write_text("no model")
    with pytest.raises(ModelFileError, match=r"'text\.keras' cannot be used"):
        read_models(["text.keras"])


def test_a_file_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(
        ModelFileError,
        match=r"stopped after .* s of computing, the limit .*NAPARI_FCNSEG_READ_SECONDS=60 and open it again",
    ):
        read_models(MODELS, seconds=-100)


def test_the_limits_are_the_user_s_to_set(monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_FCNSEG_READ_SECONDS", "long")
    with pytest.raises(SettingsError, match=r"NAPARI_FCNSEG_READ_SECONDS is 'long': set it to a number above 0"):
        read_models(MODELS[:1])
    monkeypatch.delenv("NAPARI_FCNSEG_READ_SECONDS")
    monkeypatch.setenv("NAPARI_FCNSEG_READ_MEMORY", "500")
    assert read_models(MODELS[:1])


def test_a_file_that_takes_too_much_memory_is_given_up(keras_child, tmp_path) -> None:
    big = tmp_path / "big.keras"
    layers = [("Flatten", {}), ("Dense", {"units": 2000})]
    keras_child(save_model, {"input": (61, 61, 1), "layers": layers}, str(big))
    assert big.stat().st_size > 2**24
    with pytest.raises(ModelFileError, match=r"took more memory than .*NAPARI_FCNSEG_READ_MEMORY"):
        read_models([big], memory=-8 * big.stat().st_size)  # not a byte beside what the child has already
    assert read_models([big])[0].output == "dense"


def test_the_caller_s_process_stays_free_of_the_file_libraries() -> None:
    code = (
        "import sys; from napari_fcnseg import load_model\n"
        f"load_model({str(MODELS[0])!r}).fcn\n"
        "print(sorted({'h5py', 'scipy', 'skimage', 'tensorflow'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60 * patience()
    )
    assert done.stdout.strip() == "[]"
