"""The matrices of Toom and Cook's algorithm for short correlations, which for images is called Winograd's.

``m`` entries of a correlation with ``r`` weights take ``n = m + r - 1`` multiplications instead of ``m * r``::

    y = A.T @ ((G @ w) * (B.T @ x))

The algorithm evaluates polynomials at ``n - 1`` points and at infinity. Which points decides how far rounding is
amplified: those here were found by trying every set of four of fifteen small numbers with random weights and the
matrices balanced by powers of two. Nested over two axes, with 64 channels, the error is then about three times that of
the plain sum in float32; with the usual points 0, ±1, ±2 it is twice that.

References
----------
A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", 2015, arXiv 1509.09308.
B. Barabasz, A. Anderson, K. Soodhalter, D. Gregg, "Error analysis and improving the accuracy of Winograd convolution
for deep neural networks", ACM TOMS 46(4), 2020, arXiv 1803.10986.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion.ways import WINOGRAD_LENGTH as LENGTH

_Matrix = npt.NDArray[np.float64]

_POINTS = (0.0, 1.5, -1.5, 0.75, -0.75)


class Matrices(NamedTuple):
    """``output @ ((kernel @ w) * (data @ x))`` is the correlation of ``x`` with ``w``.

    Attributes
    ----------
    output : ndarray, shape (m, n)
        ``A.T``.
    kernel : ndarray, shape (n, r)
        ``G``.
    data : ndarray, shape (n, n)
        ``B.T``.
    """

    output: _Matrix
    kernel: _Matrix
    data: _Matrix


def matrices(weights: int) -> Matrices:
    """Return the matrices for a correlation with so many weights along an axis, 2 to 5."""
    if not 2 <= weights <= LENGTH - 1:
        raise ValueError(f"2 to {LENGTH - 1} weights, not {weights}")
    results = LENGTH + 1 - weights
    output, kernel = _powers(results).T.copy(), _powers(weights)
    data = np.linalg.inv(_powers(LENGTH)).T.astype(np.float64)
    for row in range(LENGTH):  # powers of two, so that scaling rounds nothing
        down = 2.0 ** np.round(np.log2(np.linalg.norm(data[row])))
        data[row] /= down
        kernel[row] *= down
        up = 2.0 ** np.round(np.log2(np.linalg.norm(kernel[row])))
        kernel[row] /= up
        output[:, row] *= up
    return Matrices(output, kernel, data)


def _powers(count: int) -> _Matrix:
    """Return the first powers of each point; at infinity only the highest counts."""
    return np.array([[point**power for power in range(count)] for point in _POINTS] + [[0.0] * (count - 1) + [1.0]])
