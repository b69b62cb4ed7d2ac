"""Why there is no GPU: the rules, on the facts of computers that people have."""

from __future__ import annotations

import pytest

from napari_fcnseg.doctor.diagnosis import ComputerFacts, diagnose

TF = {"tensorflow": "cuda"}
LINUX = {"system": "Linux", "machine": "x86_64", "builds": TF, "accelerators": {"tensorflow": ()}}
WINDOWS = {"system": "Windows", "machine": "AMD64", "builds": {"tensorflow": "cpu"}, "accelerators": {}}
MAC = {"system": "Darwin", "machine": "arm64", "cards": ("apple",), "builds": {"tensorflow": "cpu"}}

SITUATIONS = {
    "no card": (LINUX, "no NVIDIA or AMD card", ""),
    "a card without a driver": (LINUX | {"cards": ("nvidia",)}, "no driver", "ubuntu-drivers install"),
    "a driver that was updated": (LINUX | {"cards": ("nvidia",), "driver_files": True}, "does not answer", "reboot"),
    "a driver, no CUDA": (LINUX | {"driver": "550.54.15"}, "CUDA libraries", 'pip install "napari-fcnseg[cuda]"'),
    "CUDA that does not fit": (
        LINUX | {"driver": "550.54.15", "cuda_packages": True},
        "do not fit together",
        'pip install --upgrade --force-reinstall "tensorflow[and-cuda]"',
    ),
    "an old driver": (LINUX | {"driver": "470.256.02"}, "470.256.02 is too old", "newer driver"),
    "hidden cards": (LINUX | {"driver": "550.1", "hidden": True}, "CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES"),
    "a container": (LINUX | {"container": True, "cards": ("nvidia",)}, "given no card", "--gpus all"),
    "WSL 2 without a driver": (LINUX | {"wsl": True}, "Windows' own driver", "in Windows (not in Linux)"),
    "WSL 2 without CUDA": (LINUX | {"wsl": True, "driver": "561.0"}, "CUDA libraries", "napari-fcnseg[cuda]"),
    "an AMD card": (LINUX | {"cards": ("amd",)}, "AMD", "--torch-backend=rocm"),
    "Windows, TensorFlow alone": (WINDOWS | {"driver": "560.94"}, "since version 2.11", "--torch-backend=cu126"),
    "Windows, a card of 2025": (WINDOWS | {"driver": "572.16"}, "PyTorch does.", "--torch-backend=cu128"),
    "Windows, PyTorch without CUDA": (
        WINDOWS | {"driver": "560.94", "builds": {"tensorflow": "cpu", "torch": "cpu"}},
        "though not the one that is installed",
        "--reinstall torch",
    ),
    "Windows without a card": (WINDOWS, "no NVIDIA card", ""),
    "Apple silicon": (MAC, "does not use Apple's GPU", 'pip install "napari-fcnseg[torch]"'),
    "Apple silicon, translated": (MAC | {"machine": "x86_64", "translated": True}, "Rosetta", "arm64"),
    "a Mac with an Intel processor": (MAC | {"machine": "x86_64", "cards": ()}, "Intel processor", ""),
    "an old macOS": (MAC | {"builds": {"tensorflow": "cpu", "torch": "mps"}}, "recent macOS", "--upgrade torch"),
}  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_situation_has_its_reason_and_its_remedy(situation) -> None:
    facts, says, remedy = SITUATIONS[situation]
    finding = diagnose(ComputerFacts(**facts))[0]
    assert says in finding.says
    assert remedy in finding.remedy
    assert bool(remedy) == bool(finding.remedy)
    assert "\n" not in finding.remedy, "one line to type"


def test_no_two_situations_with_different_remedies_are_taken_for_one_another() -> None:
    said = {name: diagnose(ComputerFacts(**facts))[0] for name, (facts, _, _) in SITUATIONS.items()}
    assert len({finding.remedy for finding in said.values()}) >= 15


def test_a_gpu_that_is_found_needs_no_remedy_and_a_broken_framework_is_told_all_the_same() -> None:
    found = {"tensorflow": (), "torch": ("NVIDIA H100",)}
    facts = ComputerFacts(
        **LINUX | {"driver": "550.1", "accelerators": found, "errors": {"jax": "a library is missing"}}
    )
    first, second = diagnose(facts)
    assert (first.says, first.remedy) == ("A GPU is found and used: torch computes on NVIDIA H100.", "")
    assert "jax does not start: a library is missing" in second.says
