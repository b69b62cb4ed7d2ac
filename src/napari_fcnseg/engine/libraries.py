"""Choose the library that computes TensorFlow's convolutions on the processor."""

from __future__ import annotations


def convolution_library() -> str:
    """Return what computes convolutions on the processor. TensorFlow has no public word for it."""
    try:
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:
        return ""
    return "oneDNN" if getattr(_pywrap_util_port, "IsMklEnabled", bool)() else "Eigen"
