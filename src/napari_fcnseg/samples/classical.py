"""A mask of the cells sample by classical thresholding, to compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_local
from skimage.segmentation import watershed

from napari_fcnseg.samples.synthetic import BACKGROUND, EDGE, INTERIOR

__all__ = ["threshold_labels"]

_SIGMA = 1.5
_SURROUNDINGS = 151  # pixels across which the illumination is taken to be even
_SEED_DISTANCE = 9  # pixels that two nuclei are apart at least
_EDGE_WIDTH = 2


def threshold_labels(image: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Label the cells sample without a network.

    The cytoplasm is what is brighter than its surroundings, the nuclei are seeds, and a watershed between them parts
    the cells [1]_. The outermost two pixels of each are its edge, as in the truth.

    Parameters
    ----------
    image : ndarray of uint16, shape (row, col, 2)
        Nuclei and cytoplasm.

    Returns
    -------
    ndarray of uint8, shape (row, col)
        1 background, 2 edge, 3 interior.

    References
    ----------
    .. [1] C. Wählby et al., "Combining intensity, edge and shape information for 2D and 3D segmentation of cell nuclei
       in tissue sections", Journal of Microscopy 215 (2004) 67-76; ``skimage.segmentation.watershed``.
    """
    nuclei, cytoplasm = (ndimage.gaussian_filter(image[..., c].astype(np.float32), _SIGMA) for c in (0, 1))
    cell = cytoplasm > threshold_local(cytoplasm, _SURROUNDINGS, "mean")  # type: ignore[no-untyped-call]
    peak = (nuclei == ndimage.maximum_filter(nuclei, _SEED_DISTANCE)) & cell
    parts = watershed(-nuclei, ndimage.label(peak)[0], mask=cell)  # type: ignore[no-untyped-call]
    low, high = ndimage.minimum_filter(parts, 2 * _EDGE_WIDTH + 1), ndimage.maximum_filter(parts, 2 * _EDGE_WIDTH + 1)
    labels = np.where(cell, np.where(low == high, INTERIOR, EDGE), BACKGROUND)
    return labels.astype(np.uint8)
