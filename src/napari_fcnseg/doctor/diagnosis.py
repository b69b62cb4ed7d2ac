"""Explain why no GPU is used, and name the command that mends it: rules on collected facts."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLDEST_DRIVER: Final = 525  # the first for CUDA 12
_CUDA_12_8: Final = 570  # the first driver for it; cards of 2025 need it
#: pip takes PyTorch without CUDA for Windows, and without ROCm; uv knows where its makers keep the others.
_TORCH: Final = "pip install uv && uv pip install --reinstall torch --torch-backend={}"


@dataclass(frozen=True)
class ComputerFacts:
    """What was found on a computer.

    Attributes
    ----------
    system, machine : str
        ``"Linux"``, ``"Windows"`` or ``"Darwin"``; ``"x86_64"``, ``"AMD64"``, ``"arm64"``, …
    wsl, container : bool
        Whether this is Linux inside Windows; whether it is inside a container.
    translated : bool
        Whether this Python was made for another processor than it runs on (Rosetta).
    cards : tuple of {"nvidia", "amd", "intel", "apple"}
        Makers of graphics processors that the system shows, with a driver or without.
    driver : str or None
        Version of NVIDIA's driver, if it answers.
    driver_files : bool
        Whether NVIDIA's driver is loaded, whether it answers or not.
    hidden : bool
        Whether ``CUDA_VISIBLE_DEVICES`` hides every card.
    cuda_packages : bool
        Whether the CUDA libraries that TensorFlow needs are installed.
    builds : mapping
        For each installed framework what it was built for: ``"cuda"``, ``"rocm"``, ``"xpu"``, ``"mps"``, ``"cpu"``.
    accelerators : mapping
        For each installed framework the names of the accelerators it found.
    errors : mapping
        For each framework that does not start, why.
    """

    system: str
    machine: str
    wsl: bool = False
    container: bool = False
    translated: bool = False
    cards: tuple[str, ...] = ()
    driver: str | None = None
    driver_files: bool = False
    hidden: bool = False
    cuda_packages: bool = False
    builds: Mapping[str, str] = field(default_factory=dict)
    accelerators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_accelerator(self) -> bool:
        """Whether any framework found one."""
        return any(self.accelerators.values())


class Finding(NamedTuple):
    """One thing to know.

    Attributes
    ----------
    says : str
        What is the matter.
    remedy : str
        The line to type, or what to do; empty where there is nothing to do.
    """

    says: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.says} {self.remedy}".strip()


def diagnose(facts: ComputerFacts) -> tuple[Finding, ...]:
    """Return what is to be said of a computer; the most important first."""
    found = [Finding(f"{name} does not start: {why}") for name, why in facts.errors.items()]
    if facts.has_accelerator:
        used = next(f"{name} computes on {names[0]}" for name, names in facts.accelerators.items() if names)
        return (Finding(f"A GPU is found and used: {used}."), *found)
    return (*_reasons(facts), *found)


def _reasons(facts: ComputerFacts) -> Iterator[Finding]:
    """Yield the reason why there is no accelerator."""
    if facts.hidden:
        yield Finding(
            "The environment variable CUDA_VISIBLE_DEVICES hides every card from this program.",
            "set CUDA_VISIBLE_DEVICES=" if facts.system == "Windows" else "unset CUDA_VISIBLE_DEVICES",
        )
    elif facts.system == "Darwin":
        yield _on_a_mac(facts)
    elif facts.driver is not None and (old := _too_old(facts.driver)):
        yield old
    elif facts.system == "Windows":
        yield _on_windows(facts)
    elif "amd" in facts.cards and "nvidia" not in facts.cards and facts.driver is None:
        yield Finding(
            "There is an AMD card. TensorFlow as installed cannot use it, PyTorch for ROCm can.",
            _TORCH.format("rocm6.4"),
        )
    elif facts.driver is not None:
        yield _with_a_driver(facts)
    else:
        yield _without_a_driver(facts)


def _major(driver: str) -> int:
    """Return the first part of a driver's version; what is no number is taken for new."""
    major = driver.split(".")[0]
    return int(major) if major.isdecimal() else _CUDA_12_8


def _too_old(driver: str) -> Finding | None:
    if _major(driver) >= _OLDEST_DRIVER:
        return None
    return Finding(
        f"NVIDIA's driver {driver} is too old for CUDA 12, which needs {_OLDEST_DRIVER} or later.",
        "Install a newer driver from NVIDIA or with the system's updates, and restart.",
    )


def _on_a_mac(facts: ComputerFacts) -> Finding:
    if facts.translated:
        return Finding(
            "This Python was made for Intel's processors and is translated here (Rosetta): it cannot use the GPU.",
            'Install Python for Apple silicon (arm64), and in it: pip install "napari-fcnseg[all,torch]"',
        )
    if facts.machine != "arm64":
        return Finding("No framework here computes on the GPU of a Mac with an Intel processor; the processor is used.")
    if "torch" not in facts.builds:
        return Finding(
            "TensorFlow does not use Apple's GPU (Apple's plug-in does not keep up with its versions). PyTorch does.",
            'pip install "napari-fcnseg[torch]"',
        )
    return Finding("PyTorch finds no Apple GPU. It needs a recent macOS.", "pip install --upgrade torch")


def _on_windows(facts: ComputerFacts) -> Finding:
    if facts.driver is None:
        if "nvidia" in facts.cards:
            return Finding(
                "There is an NVIDIA card, but its driver does not answer.", "Install NVIDIA's driver, and restart."
            )
        return Finding("There is no NVIDIA card that this computer's driver knows of; the processor is used.")
    return Finding(
        "There is an NVIDIA card, but TensorFlow under Windows does not use it since version 2.11. PyTorch does"
        + (", though not the one that is installed." if "torch" in facts.builds else "."),
        _TORCH.format("cu128" if _major(facts.driver) >= _CUDA_12_8 else "cu126"),
    )


def _with_a_driver(facts: ComputerFacts) -> Finding:
    """Return why TensorFlow under Linux finds nothing although the driver answers."""
    if facts.machine not in ("x86_64", "AMD64", "aarch64"):
        return Finding(f"TensorFlow has no CUDA for {facts.machine}; the processor is used.")
    if "tensorflow" not in facts.builds:
        return Finding("There is an NVIDIA card, and no framework that uses it.", 'pip install "napari-fcnseg[cuda]"')
    if not facts.cuda_packages:
        return Finding(
            "There is an NVIDIA card, but the CUDA libraries that TensorFlow needs are not installed.",
            'pip install "napari-fcnseg[cuda]"',
        )
    return Finding(
        "There is an NVIDIA card and CUDA is installed, but TensorFlow finds none: the versions do not fit together.",
        'pip install --upgrade --force-reinstall "tensorflow[and-cuda]"',
    )


def _without_a_driver(facts: ComputerFacts) -> Finding:
    """Return why there is no driver under Linux."""
    if facts.wsl:
        return Finding(
            "Linux inside Windows sees a card only through Windows' own driver, and there is none.",
            "Install NVIDIA's driver in Windows (not in Linux), and then in Windows: wsl --update && wsl --shutdown",
        )
    if facts.container:
        return Finding(
            "This is inside a container that was given no card.",
            "If the computer has one and NVIDIA's container toolkit: docker run --gpus all …",
        )
    if facts.driver_files:
        return Finding(
            "NVIDIA's driver is loaded but does not answer, as after an update without a restart.", "sudo reboot"
        )
    if "nvidia" in facts.cards:
        return Finding(
            "There is an NVIDIA card, but no driver for it.",
            "On Ubuntu: sudo ubuntu-drivers install && sudo reboot (elsewhere: NVIDIA's driver from the distribution)",
        )
    if "intel" in facts.cards and facts.builds.get("torch") == "xpu":
        return Finding("PyTorch for Intel finds no card: its driver is missing or the card is not supported.")
    return Finding("There is no NVIDIA or AMD card in this computer; the processor is used.")
