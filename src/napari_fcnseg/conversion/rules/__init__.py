"""Conversion rules: a pure function per operation of the patch network, which returns its dense form.

The rules follow Li, Zhao and Wang 2014 (arXiv 1412.4526): a stride becomes 1, every window is dilated by the strides
before it, a ``Dense`` after a ``Flatten`` becomes a convolution as large as the map it flattened. What padding inside
the patch touches is computed as edge variants (:mod:`napari_fcnseg.graph.geometry`).
"""

from napari_fcnseg.conversion.rules import convolutions, merges, pointwise, positions  # noqa: F401 - they register themselves
from napari_fcnseg.conversion.rules.dispatch import Refusal, rewrite

__all__ = ["Refusal", "rewrite"]
