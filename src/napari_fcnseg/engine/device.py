"""What a network can run on, and how a user names it.

A name is ``[BACKEND:]KIND[:NUMBER]``: ``"CPU:0"``, ``"GPU:1"``, ``"torch:GPU:0"``. The processor by ONNX Runtime and
TensorFlow's cards go without the backend's name. ``"GPU"`` is the first one of any backend, ``"torch"`` the fastest of
PyTorch, ``"all"`` every accelerator of the fastest backend, ``"jax:all"`` every one of JAX; several stand with commas
between them. Which one is taken where none is named: :meth:`napari_fcnseg.engine.session.Engine.devices_for`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The frameworks that can compute, in the order in which they are asked for an accelerator.
BACKENDS: Final = ("tensorflow", "jax", "torch", "onnx")
#: The one that computes on the processor: it starts in a fraction of a second.
PROCESSOR: Final = "onnx"
#: The one that runs the patch network itself where the device's own cannot.
REFERENCE: Final = "tensorflow"
#: Those that Keras can compute with: they can run a patch network, too.
KERAS: Final = ("tensorflow", "jax", "torch")
#: The packages they come in, where those are called otherwise.
PACKAGES: Final = {"onnx": "onnxruntime"}
#: What their makers call an accelerator; here it is a GPU.
_OTHER_NAMES: Final = {"CUDA": "GPU", "MPS": "GPU", "ROCM": "GPU", "XPU": "GPU"}
_ALL: Final = "ALL"


@dataclass(frozen=True)
class Device:
    """A device, and how it is to compute.

    Attributes
    ----------
    key : str
        What a user writes to choose it: ``"CPU:0"``, ``"GPU:0"``, ``"torch:GPU:0"``.
    address : str
        The framework's name for it, in the process that runs it.
    name : str
        What it is, for a person: ``"NVIDIA H100"``.
    backend : {"tensorflow", "jax", "torch", "onnx"}
        The framework that runs it.
    process : int
        Which of the backend's computing processes runs it; each of several devices has its own.
    memory : int or None
        Bytes of its own memory in all, None where it uses the computer's.
    precisions : tuple of str
        Arithmetic that it has.
    precision : str
        Arithmetic that it is asked for; ``"float32"`` is exact.
    library : str
        What computes convolutions there, where a framework has several: ``"oneDNN"`` or ``"Eigen"`` for TensorFlow on a
        processor.
    """

    key: str
    address: str
    name: str
    backend: str = "tensorflow"
    process: int = 0
    memory: int | None = None
    precisions: tuple[str, ...] = ("float32", "bfloat16", "float16")
    precision: str = "float32"
    library: str = ""

    @property
    def kind(self) -> str:
        """``"CPU"``, ``"GPU"``, or what else the framework calls it."""
        return self.key.split(":")[-2]

    @property
    def runs_patches(self) -> bool:
        """Whether it can run a patch network, and numbers shorter than float32."""
        return self.backend in KERAS

    @property
    def takes_strips(self) -> bool:
        """Whether it can be given an image strip by strip, and keeps of each what the next one needs."""
        return self.backend in ("tensorflow", "onnx")

    @property
    def is_cpu(self) -> bool:
        """Whether it is the processor, which uses the computer's own memory."""
        return self.kind == "CPU"

    def __str__(self) -> str:
        return f"{self.key} ({self.name})"


def device_key(backend: str, kind: str, number: int) -> str:
    """Return the name by which a user chooses a device."""
    usual = PROCESSOR if kind == "CPU" else BACKENDS[0]
    return f"{kind}:{number}" if backend == usual else f"{backend}:{kind}:{number}"


@dataclass(frozen=True)
class DeviceRequest:
    """A device as a user named it; what is None was left open.

    Attributes
    ----------
    text : str
        The name.
    backend, kind : str or None
        The framework, and ``"CPU"`` or ``"GPU"``.
    number : int or None
        Which one of its kind.
    every : bool
        Whether every accelerator is meant.
    """

    text: str
    backend: str | None = None
    kind: str | None = None
    number: int | None = None
    every: bool = False

    @classmethod
    def all_of(cls, setting: str) -> tuple[DeviceRequest, ...]:
        """Return the devices named in a setting, ``"GPU:0,GPU:1"``.

        Raises
        ------
        SettingsError
            If it is no name of devices.
        """
        return tuple(cls.of(part.strip()) for part in setting.split(","))

    @classmethod
    def of(cls, text: str) -> DeviceRequest:
        """Return the device named in a text.

        Raises
        ------
        SettingsError
            If it is no name of a device.
        """
        backend, kind, number = None, None, None
        parts = text.split(":") if text else []
        if parts and parts[0].lower() in BACKENDS:
            backend = parts.pop(0).lower()
        if [part.upper() for part in parts] == [_ALL]:
            return cls(text, backend, every=True)
        if parts:
            kind = parts.pop(0).upper()
        if parts and parts[0].isdecimal():
            number = int(parts.pop(0))
        if parts or not (backend or kind):
            raise SettingsError(
                f"{text!r} is no device. Write CPU, GPU, GPU:1, torch:GPU, all, or several with commas: GPU:0,GPU:1."
            )
        return cls(text, backend, _OTHER_NAMES.get(kind or "", kind), number)

    def among(self, devices: Sequence[Device]) -> tuple[Device, ...]:
        """Return those of some devices, the fastest first, that are meant; none where there is no such device."""
        if self.every:
            kind = devices[0].kind if devices else None
            return tuple(d for d in devices if d.kind == kind)
        fitting = [d for d in devices if self.kind in (None, d.kind)]
        if self.number is not None:
            fitting = [d for d in fitting if d.key.endswith(f":{self.number}")]
        return tuple(fitting[:1])
