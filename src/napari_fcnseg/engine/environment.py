"""What a computing process is for, and the environment variables that this takes: oneDNN on or off, memory, cards."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Final, NamedTuple

from napari_fcnseg.engine.backends import BACKEND
from napari_fcnseg.engine.device import KERAS
from napari_fcnseg.engine.hardware import visible_names
from napari_fcnseg.system import cache

if TYPE_CHECKING:
    from napari_fcnseg.engine.device import Device

#: TensorFlow's own store of memory never gives any back, so it is to use the C library's. That hands large blocks back
#: as soon as they are freed, and the next map's pages are taken and cleared anew, for much of the time: it is to keep
#: them, for all threads together, until `release` hands them back.
_MEMORY: Final = {
    "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**34),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}
_ENVIRONMENT: Final = {
    "tensorflow": {
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        **_MEMORY,
    },
    "jax": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},  # or it takes three quarters of a card
    "torch": {"PYTORCH_ENABLE_MPS_FALLBACK": "1"},  # what Apple's library lacks is computed by the processor
    # Its threads are those of the convolutions in `kernels`, and each calls the matrix library alone.
    "onnx": {"OPENBLAS_NUM_THREADS": "1", **_MEMORY},
}
#: Whether TensorFlow computes with oneDNN: ``1``, ``0``, or not set for what suits the processor.
ONEDNN: Final = "NAPARI_FCNSEG_ONEDNN"
_SWITCH: Final = "TF_ENABLE_ONEDNN_OPTS"
_X86: Final = ("x86_64", "AMD64", "x86-64")
#: Settings of a user's for other programs that would make float32 inexact, or an operation another one.
_NOT_INHERITED: Final = (
    "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "TF_SET_ONEDNN_FPMATH_MODE", "TF_DISABLE_MKL", _SWITCH,
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION",
)  # fmt: skip


def onednn_switch() -> dict[str, str]:
    """Return the environment variable that turns TensorFlow's oneDNN on or off; none where TensorFlow is to decide.

    By itself TensorFlow uses oneDNN only on processors with AVX-512 VNNI, BF16 or AMX. It is quicker on all of x86, and
    without it TensorFlow lacks operations. On ARM its library is another one, which was not measured: TensorFlow's own
    choice stands.
    """
    chosen = os.environ.get(ONEDNN, "").strip()
    if chosen not in ("0", "1"):
        chosen = "1" if platform.machine() in _X86 else ""
    return {_SWITCH: chosen} if chosen else {}


class ProcessPurpose(NamedTuple):
    """What a computing process is for.

    Attributes
    ----------
    backend : str
        Its framework.
    process : int
        Which of the framework's processes it is; the first finds the devices, the others see one each.
    tf32 : bool
        Whether its float32 arithmetic may be TF32: that is a switch of a whole process.
    kind : str
        The kind of device of a process that is not the first.
    """

    backend: str
    process: int = 0
    tf32: bool = False
    kind: str = ""

    @classmethod
    def of(cls, device: Device) -> ProcessPurpose:
        """Return where a device computes."""
        kind = device.kind if device.process else ""
        return cls(device.backend, device.process, device.precision == "tf32", kind)

    def environment(self) -> dict[str, str | None]:
        """Return the environment variables of such a process; None for one that it must not have."""
        variables: dict[str, str | None] = dict.fromkeys(_NOT_INHERITED)
        variables |= {BACKEND: self.backend, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **_ENVIRONMENT[self.backend]}
        variables["KERAS_BACKEND"] = self.backend if self.backend in KERAS else None
        variables["KERAS_HOME"] = str(cache.cache_folder() / "keras")  # the user's own may say float16, channels first
        if self.backend == "tensorflow":
            variables |= onednn_switch()
        if self.kind == "CPU":
            variables["CUDA_VISIBLE_DEVICES"] = "-1"
        elif self.process:
            names = visible_names(os.environ.get("CUDA_VISIBLE_DEVICES"), self.process + 1)
            variables["CUDA_VISIBLE_DEVICES"] = names[self.process] if self.process < len(names) else "-1"
        return variables
