"""The teacher of the tissue sample: published colour deconvolution and thresholds, no ground truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.filters import threshold_multiotsu, threshold_otsu

__all__ = ["TEACHER_COLUMNS", "stain_labels"]

#: The tissue network was taught on the columns left of this one, and the thresholds were set there too.
TEACHER_COLUMNS = 240

_STAIN_SIGMA = 1.0
_LABEL_SIGMA = 1.2


def stain_labels(image: npt.NDArray[np.uint8], columns: int = TEACHER_COLUMNS) -> npt.NDArray[np.uint8]:
    """Label a haematoxylin and DAB section by what its stains say.

    The image is taken apart into stains [1]_, and thresholds are set on its left part by Otsu's criterion: one for
    haematoxylin, two for DAB [2]_. A pixel with more DAB than the lower threshold is stained tissue. One with more
    haematoxylin than its threshold, and less DAB than the upper one, is a nucleus. The rest is background: glass,
    lumen, stroma.

    Parameters
    ----------
    image : ndarray of uint8, shape (row, col, 3)
        Red, green, blue.
    columns : int
        Thresholds are set on the columns left of this one.

    Returns
    -------
    ndarray of uint8, shape (row, col)
        1 background, 2 nucleus, 3 stained.

    References
    ----------
    .. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color deconvolution",
       Analytical and Quantitative Cytology and Histology 23 (2001) 291-299; ``skimage.color.rgb2hed``.
    .. [2] P.-S. Liao, T.-S. Chen, P.-C. Chung, "A fast algorithm for multilevel thresholding", Journal of Information
       Science and Engineering 17 (2001) 713-727; ``skimage.filters.threshold_multiotsu``.
    """
    stains = ndimage.gaussian_filter(rgb2hed(image)[..., [0, 2]], (_STAIN_SIGMA, _STAIN_SIGMA, 0.0))
    haematoxylin, dab = stains[..., 0], stains[..., 1]
    much_haematoxylin = threshold_otsu(haematoxylin[:, :columns])  # type: ignore[no-untyped-call]
    some_dab, much_dab = threshold_multiotsu(dab[:, :columns], classes=3)  # type: ignore[no-untyped-call]
    index = np.zeros(image.shape[:2], np.intp)
    index[dab > some_dab] = 2
    index[(haematoxylin > much_haematoxylin) & (dab < much_dab)] = 1
    # The class with most weight nearby: takes out specks of a few pixels and leaves outlines where they are.
    weight = ndimage.gaussian_filter(np.eye(3)[index], (_LABEL_SIGMA, _LABEL_SIGMA, 0.0))
    return np.asarray(weight.argmax(axis=-1) + 1, np.uint8)
