"""The doctor's report: what is installed, how fast each device is, why no GPU is used, and what mends it."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.doctor.diagnosis import ComputerFacts, Finding, diagnose
from napari_fcnseg.engine import Device, engine, hardware
from napari_fcnseg.engine.device import BACKENDS
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import EXACT
from napari_fcnseg.system.formatting import format_bytes
from napari_fcnseg.system.memory import free_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.conversion import DenseNetwork

_SHOWN: Final = ("napari-fcnseg", "napari", "onnxruntime", "tensorflow", "keras", "jax", "torch", "numpy")
_CUDA_PARTS: Final = ("cudnn", "cublas", "cuda-runtime", "cudart")
_MAKERS: Final = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_TILE: Final = 256  # pixels per axis of the tile that is timed
_ROUNDS: Final = 3
_ENOUGH: Final = 3.0  # seconds of one tile: it is not done again


@dataclass(frozen=True)
class Timing:
    """One tile of a sample's network on one device.

    Attributes
    ----------
    device, precision : str
        Where, and in which arithmetic.
    seconds : float
        Of the quickest time; not a number if it failed.
    pixels : int
        Of the tile.
    label_agreement, max_abs_difference : float
        From the first device in float32: share of equal labels, and the largest difference.
    problem : str
        Why it failed, if it did.
    """

    device: str
    precision: str
    seconds: float
    pixels: int
    label_agreement: float
    max_abs_difference: float
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        agree = math.floor(1e4 * self.label_agreement) / 100
        return (
            f"{1000 * self.seconds:,.1f} ms, {self.pixels / self.seconds / 1e6:.2f} megapixels/s; {agree:.2f} % of "
            f"labels agree, largest difference {self.max_abs_difference:.1g}"
        )


@dataclass(frozen=True)
class ReportSection:
    """A part of the report: a title, and rows of a name and what is said of it."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DoctorReport:
    """What :func:`doctor` found.

    Attributes
    ----------
    versions : dict of str to str
        Of what is installed.
    computer : dict of str to str
        Processor, cores, memory, and its limit.
    facts : ComputerFacts
        What the diagnosis rests on.
    devices : tuple of Device
        Of every installed framework; the first is taken where none is chosen.
    timings : tuple of Timing
        A tile on each device in each arithmetic; empty if it was not asked for.
    findings : tuple of Finding
        What is the matter and what mends it.
    """

    versions: dict[str, str]
    computer: dict[str, str]
    facts: ComputerFacts
    devices: tuple[Device, ...]
    timings: tuple[Timing, ...]
    findings: tuple[Finding, ...]

    def sections(self) -> tuple[ReportSection, ...]:
        """Return the report in parts, to be shown in a table or a panel."""
        devices = [
            (d.key, _described(d) + (", taken where none is chosen" * (n == 0))) for n, d in enumerate(self.devices)
        ]
        return (
            ReportSection("Findings", tuple((finding.says, finding.remedy) for finding in self.findings)),
            ReportSection("Devices", tuple(devices)),
            ReportSection(
                f"A tile of {_TILE} × {_TILE} pixels",
                tuple((f"{t.device} {t.precision}", str(t)) for t in self.timings),
            ),
            ReportSection("Installed", tuple(self.versions.items())),
            ReportSection("Computer", tuple(self.computer.items())),
        )

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        findings, *tables = self.sections()
        lines = [findings.title]
        for says, remedy in findings.rows:
            lines += [f"  {says}", *([f"    {remedy}"] if remedy else [])]
        for section in filter(lambda section: section.rows, tables):
            width = max(len(name) for name, _ in section.rows)
            lines += ["", section.title, *(f"  {name.ljust(width)}  {text}" for name, text in section.rows)]
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON."""
        return {
            "versions": self.versions,
            "computer": self.computer,
            "facts": {**asdict(self.facts)},
            "devices": [asdict(device) for device in self.devices],
            "timings": [{**asdict(t), "seconds": None if math.isnan(t.seconds) else t.seconds} for t in self.timings],
            "findings": [finding._asdict() for finding in self.findings],
        }


def doctor(timing: bool = True) -> DoctorReport:
    """Look at what is installed and what can compute here, and time a tile on each device.

    Every installed framework is started, one after the other, in a process of its own that ends again.

    Parameters
    ----------
    timing : bool
        Whether to time.

    Returns
    -------
    DoctorReport
    """
    first = engine().start().result()
    devices, errors = [*first], dict[str, str]()
    for backend in BACKENDS:
        try:
            devices += [d for d in engine().devices_of(backend) if d not in devices]
        except FcnSegError as error:
            errors[backend] = str(error)
    facts = collect(devices, errors)
    timings = tuple(_time_all(devices)) if timing else ()
    engine().end_all_but(first[0])
    return DoctorReport(_versions(), _computer(), facts, tuple(devices), timings, diagnose(facts))


def collect(devices: Sequence[Device], errors: dict[str, str]) -> ComputerFacts:
    """Return the facts about this computer.

    Parameters
    ----------
    devices : sequence of Device
        That the installed frameworks found.
    errors : dict of str to str
        For each that does not start, why.
    """
    system = platform.system()
    gpus = hardware.nvidia_smi()
    there = [backend for backend in BACKENDS if hardware.installed(backend)]
    builds = {
        "tensorflow": "cuda" if system == "Linux" else "cpu",
        "jax": hardware.jax_build() or "",
        "torch": "",
        "onnx": "cpu",
    }
    builds["torch"] = hardware.torch_build() or ""
    nvidia = hardware.packages("nvidia-")
    return ComputerFacts(
        system=system,
        machine=platform.machine(),
        wsl=hardware.is_wsl(),
        container=any(Path(place).exists() for place in ("/.dockerenv", "/run/.containerenv")),
        translated=hardware.is_translated(),
        cards=tuple(sorted({*_cards(), *(["nvidia"] if gpus else [])})),
        driver=gpus[0].driver if gpus else None,
        driver_files=Path("/proc/driver/nvidia/version").exists(),
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"),
        cuda_packages=all(any(part in name for name in nvidia) for part in _CUDA_PARTS[:2]),
        builds={backend: builds[backend] for backend in there},
        accelerators={b: tuple(d.name for d in devices if d.backend == b and not d.is_cpu) for b in there},
        errors=errors,
    )


def _cards() -> Iterator[str]:
    """Yield the makers of the graphics processors on the bus, whether there is a driver or not."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        yield "apple"
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            display = (device / "class").read_text().startswith("0x03")
            maker = _MAKERS.get((device / "vendor").read_text().strip())
        except OSError:
            continue
        if display and maker:
            yield maker


def _versions() -> dict[str, str]:
    libraries = {
        name: version for name, version in hardware.packages("nvidia-").items() if any(p in name for p in _CUDA_PARTS)
    }
    shown = {name: hardware.version(name) or "not installed" for name in _SHOWN}
    shown["tensorflow"] = next(filter(None, map(hardware.version, ("tensorflow", "tensorflow-cpu"))), "not installed")
    return {"python": f"{platform.python_version()} ({sys.executable})", **shown, **libraries}


def _computer() -> dict[str, str]:
    import psutil

    gpus = hardware.nvidia_smi()
    return {
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": f"{hardware.cpu_name()}, {os.cpu_count()} cores",
        "instruction sets": ", ".join(hardware.instruction_sets()) or "the basic ones",
        "memory": f"{format_bytes(psutil.virtual_memory().total)}, of which {format_bytes(free_memory())} may be taken",
        "NVIDIA driver": "none that answers" if gpus is None else gpus[0].driver if gpus else "no card",
        **{
            f"NVIDIA card {g.index}": f"{g.name}, {format_bytes(g.memory)}, {format_bytes(g.free)} free"
            for g in gpus or ()
        },
    }


def _described(device: Device) -> str:
    memory = f", {format_bytes(device.memory)}" if device.memory else ""
    library = f" with {device.library}" if device.library else ""
    return f"{device.name}{memory}, {device.backend}{library}, {' '.join(device.precisions)}"


def _time_all(devices: Sequence[Device]) -> Iterator[Timing]:
    """Time a tile on each device in each arithmetic; the first one's float32 is what the others are compared with."""
    sample = SAMPLES["cells"]
    network = load_model(sample.model_path).fcn.network
    side = tuple(_TILE + reach - 1 for reach in network.reach)
    window = np.random.default_rng(0).standard_normal((1, *side, network.channels), np.float32)
    truth = None
    for device in devices:
        for precision in device.precisions:
            one = replace(device, precision=precision)
            try:
                seconds, answer = _time(network, one, window)
            except FcnSegError as error:
                yield Timing(device.key, precision, math.nan, _TILE**2, 0.0, 0.0, str(error))
                continue
            truth = answer if truth is None and precision == EXACT else truth
            reference = answer if truth is None else truth
            agreement = float((answer.argmax(-1) == reference.argmax(-1)).mean())
            yield Timing(device.key, precision, seconds, _TILE**2, agreement, float(np.abs(answer - reference).max()))


def _time(
    network: DenseNetwork, device: Device, window: npt.NDArray[np.float32]
) -> tuple[float, npt.NDArray[np.float32]]:
    best = math.inf
    answer = engine().run(network, device, window).result()  # compiles
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        answer = engine().run(network, device, window).result()
        best = min(best, time.perf_counter() - start)
        if best > _ENOUGH:
            break
    return best, answer
