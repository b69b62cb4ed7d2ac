"""Names of devices, and what is known of a computer's hardware without a framework: as data, without a device."""

from __future__ import annotations

import pytest

from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.device import Device, DeviceRequest
from napari_fcnseg.engine.environment import ProcessPurpose
from napari_fcnseg.errors import SettingsError

CPU = Device("CPU:0", "/device:CPU:0", "a processor", process=2)
CARDS = tuple(Device(f"GPU:{n}", "/device:GPU:0", "a card", process=n) for n in range(2))
TORCH = (
    Device("torch:GPU:0", "cuda:0", "a card", "torch"),
    Device("torch:CPU:0", "cpu", "a processor", "torch", process=1),
)

SMI = """0, GPU-1a2b, NVIDIA H100 80GB HBM3, 550.54.15, 81559, 80995
1, GPU-9f8e, NVIDIA RTX A6000, 550.54.15, 49140, [N/A]
NVIDIA-SMI has something else to say
"""


@pytest.mark.parametrize(
    ("name", "among", "keys"),
    [
        ("GPU", (*CARDS, CPU), ["GPU:0"]),
        ("gpu:1", (*CARDS, CPU), ["GPU:1"]),
        ("cuda:1", (*CARDS, CPU), ["GPU:1"]),
        ("GPU:10", (*CARDS, CPU), []),
        ("CPU", (*CARDS, CPU), ["CPU:0"]),
        ("all", (*CARDS, CPU), ["GPU:0", "GPU:1"]),
        ("all", (CPU,), ["CPU:0"]),
        ("torch", TORCH, ["torch:GPU:0"]),
        ("torch:cpu", TORCH, ["torch:CPU:0"]),
        ("Torch:MPS:0", TORCH, ["torch:GPU:0"]),
        ("torch:all", TORCH, ["torch:GPU:0"]),
        ("TPU", TORCH, []),
    ],
)
def test_a_name_means_these_devices(name, among, keys) -> None:
    assert [device.key for device in DeviceRequest.of(name).among(among)] == keys


def test_several_names_stand_with_commas() -> None:
    assert [(w.backend, w.kind, w.number) for w in DeviceRequest.all_of("GPU:1, jax:CPU")] == [
        (None, "GPU", 1),
        ("jax", "CPU", None),
    ]


@pytest.mark.parametrize("name", ["", "GPU:one", "torch:GPU:0:1", "GPU:-1", "GPU,,CPU", ":"])
def test_what_is_no_name_is_said_with_examples(name) -> None:
    with pytest.raises(SettingsError, match=r"no device.*GPU:0,GPU:1"):
        DeviceRequest.all_of(name)


def test_each_further_device_has_a_process_that_sees_it_alone(monkeypatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first, second, processor = (ProcessPurpose.of(device) for device in (*CARDS, CPU))
    assert len({first, second, processor}) == 3
    assert "CUDA_VISIBLE_DEVICES" not in first.environment()  # it finds them all
    assert second.environment()["CUDA_VISIBLE_DEVICES"] == "1"
    assert processor.environment()["CUDA_VISIBLE_DEVICES"] == "-1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-9f8e")
    assert second.environment()["CUDA_VISIBLE_DEVICES"] == "GPU-9f8e"


def test_tf32_has_a_process_of_its_own() -> None:
    exact, quick = (Device("GPU:0", "", "", precision=p) for p in ("float32", "tf32"))
    assert ProcessPurpose.of(exact) == ProcessPurpose.of(Device("GPU:0", "", "", precision="bfloat16"))
    assert ProcessPurpose.of(exact) != ProcessPurpose.of(quick)


def test_the_drivers_answer_is_read() -> None:
    first, second = hardware.gpus_in(SMI)
    assert (first.index, first.uuid, first.name, first.driver) == (0, "GPU-1a2b", "NVIDIA H100 80GB HBM3", "550.54.15")
    assert (first.memory, first.free) == (81559 * 2**20, 80995 * 2**20)
    assert (second.index, second.free) == (1, 0)
    assert hardware.gpus_in("No devices were found\n") == ()


@pytest.mark.parametrize(
    ("setting", "number", "uuid"),
    [(None, 1, "GPU-9f8e"), ("1", 0, "GPU-9f8e"), ("GPU-1a", 0, "GPU-1a2b"), ("-1", 0, None)],
)
def test_a_card_is_found_by_the_place_it_has_for_this_process(monkeypatch, setting, number, uuid) -> None:
    monkeypatch.setattr(hardware, "nvidia_smi", lambda: hardware.gpus_in(SMI))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if setting is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    found = hardware.visible_gpu(number)
    assert (found.uuid if found is not None else None) == uuid


@pytest.mark.parametrize(
    ("installed", "promising", "order"),
    [
        ({"tensorflow"}, set(), ["tensorflow"]),
        ({"tensorflow", "jax", "torch"}, set(), ["tensorflow"]),  # nothing is started in vain
        ({"tensorflow", "torch"}, {"tensorflow", "torch"}, ["tensorflow", "torch", "tensorflow"]),
        ({"tensorflow"}, {"tensorflow"}, ["tensorflow"]),
        ({"tensorflow", "torch"}, {"torch"}, ["torch", "tensorflow"]),  # Windows, macOS
        ({"torch"}, {"torch"}, ["torch"]),
        (set(), set(), []),
    ],
)
def test_only_frameworks_that_may_find_an_accelerator_are_asked(monkeypatch, installed, promising, order) -> None:
    monkeypatch.setattr(hardware, "installed", lambda backend: backend in installed)
    monkeypatch.setattr(hardware, "may_have_accelerator", lambda backend: backend in promising)
    assert list(hardware.order_of_looking()) == order
