"""What this computer has to compute with, by quick looks that import no framework."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from napari_fcnseg.engine.device import BACKENDS, PACKAGES, PROCESSOR

_SECONDS: Final = 10.0  # that the driver's tool may take
_MIB: Final = 2**20
_WINDOWS: Final = sys.platform == "win32"
#: Where a driver shows itself: NVIDIA's under Linux and in WSL 2, AMD's.
_DRIVERS: Final = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA card as its driver sees it.

    Attributes
    ----------
    index : int
        Its number.
    uuid, name, driver : str
        Its own name, its kind, and the driver's version.
    memory, free : int
        Bytes in all, and those that nobody uses.
    """

    index: int
    uuid: str
    name: str
    driver: str
    memory: int
    free: int


@functools.cache
def cpu_name() -> str:
    """Return the processor's name."""
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "darwin":
        told = _output(["sysctl", "-n", "machdep.cpu.brand_string"])
        if told:
            return told.strip()
    return platform.processor() or platform.machine()


def instruction_sets() -> tuple[str, ...]:
    """Return the processor's vector instructions that NumPy knows and finds, by NumPy's names."""
    import numpy as np

    told = np.show_config(mode="dicts") or {}
    found: list[str] = told.get("SIMD Extensions", {}).get("found", [])
    return tuple(found)


def nvidia_smi() -> tuple[Gpu, ...] | None:
    """Return NVIDIA's cards in the order of their bus; None where its driver does not answer."""
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path="/usr/lib/wsl/lib")
    fields = "index,uuid,name,driver_version,memory.total,memory.free"
    told = _output([program, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]) if program else None
    return None if told is None else gpus_in(told)


def gpus_in(told: str) -> tuple[Gpu, ...]:
    """Return the cards in what ``nvidia-smi`` told: a line each, with commas. Other lines are left out."""
    found = []
    for line in told.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == 6 and values[0].isdecimal():
            index, uuid, name, driver, *sizes = values
            memory, free = (int(size) * _MIB if size.isdecimal() else 0 for size in sizes)
            found.append(Gpu(int(index), uuid, name, driver, memory, free))
    return tuple(found)


def visible_gpu(number: int) -> Gpu | None:
    """Return what the driver says of the ``number``-th card that this process sees; None where nobody knows."""
    gpus = nvidia_smi() or ()
    names = visible_names(os.environ.get("CUDA_VISIBLE_DEVICES"), len(gpus))
    if number >= len(names):
        return None
    name = names[number]
    return next((gpu for gpu in gpus if name == str(gpu.index) or gpu.uuid.startswith(name)), None)


def visible_names(setting: str | None, count: int) -> list[str]:
    """Return the cards that ``CUDA_VISIBLE_DEVICES`` leaves of ``count``, by number or their own name."""
    if setting is None:
        return [str(number) for number in range(count)]
    return [name.strip() for name in setting.split(",") if name.strip() not in ("", "-1")]


def _output(command: list[str]) -> str | None:
    """Return what a program prints; None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def installed(backend: str) -> bool:
    """Return whether a framework is installed; it is not imported."""
    return importlib.util.find_spec(PACKAGES.get(backend, backend)) is not None


def version(package: str) -> str | None:
    """Return the version of an installed package, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def packages(start: str) -> dict[str, str]:
    """Return the installed packages whose names begin so, with their versions."""
    found = {(d.metadata["Name"] or "").lower(): d.version for d in importlib.metadata.distributions()}
    return {name: number for name, number in sorted(found.items()) if name.startswith(start)}


def is_wsl() -> bool:
    """Return whether this is Linux inside Windows."""
    return "microsoft" in platform.release().lower()


def is_translated() -> bool:
    """Return whether this Python was made for another processor than this Mac's."""
    return sys.platform == "darwin" and (_output(["sysctl", "-n", "sysctl.proc_translated"]) or "").strip() == "1"


def driver_here() -> bool:
    """Return whether a driver of an accelerator shows itself."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if _WINDOWS:
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return any(Path(place).exists() for place in _DRIVERS)


def torch_build() -> str | None:
    """Return what the installed PyTorch was built for: ``"cuda"``, ``"rocm"``, ``"xpu"``, ``"mps"`` or ``"cpu"``."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text()
    except OSError:
        return "cpu"
    for name, kind in (("cuda", "cuda"), ("hip", "rocm"), ("xpu", "xpu")):
        if re.search(rf"^{name}\b[^=\n]*=\s*['\"]", text, re.MULTILINE):
            return kind
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def jax_build() -> str | None:
    """Return what the installed JAX can use: ``"cuda"``, ``"rocm"`` or ``"cpu"``."""
    if not installed("jax"):
        return None
    names = packages("jax-")
    return next((kind for kind in ("cuda", "rocm") if any(name.startswith(f"jax-{kind}") for name in names)), "cpu")


def may_have_accelerator(backend: str) -> bool:
    """Return whether an installed framework may well find an accelerator here."""
    if not driver_here():
        return False
    if backend == "tensorflow":  # without a card under macOS, and under Windows since 2.11
        return sys.platform.startswith("linux") and installed(backend)
    if backend == "onnx":
        return False
    build = torch_build() if backend == "torch" else jax_build()
    return build not in (None, "cpu")


def order_of_looking() -> tuple[str, ...]:
    """Return the frameworks to ask for an accelerator, one after the other; the last will do without one.

    Where there is nothing to be found it is one: what is started in vain takes seconds and memory.
    """
    there = sorted((backend for backend in BACKENDS if installed(backend)), key=lambda backend: backend != PROCESSOR)
    hopeful = [backend for backend in BACKENDS if backend in there and may_have_accelerator(backend)]
    return (*hopeful, *(backend for backend in there[:1] if hopeful != [backend]))
