"""Single objects among class labels: connected components of a class, or a watershed that cuts what touches.

Nothing here computes a network again: the labels of a run are enough, and its scores where they are given.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import copy_blocks
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import ZARR, ImageFile, grown, read_image
from napari_fcnseg.imagefile.omezarr import axis_letters
from napari_fcnseg.instances.blocks import check_target
from napari_fcnseg.instances.labeling import Proceed, searched
from napari_fcnseg.instances.scratch import scratch_beside, scratch_in
from napari_fcnseg.run.cluster.instance_team import check_for_cluster, team_for
from napari_fcnseg.system.saving import Inputs, Plan, files_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.run.cluster.instance_team import SearchTeam


def find_instances(
    labels: Any,
    settings: InstanceSettings,
    *,
    spatial: int | None = None,
    scores: Any = None,
    spacing: Sequence[float] | None = None,
    stop: Callable[[], bool] | None = None,
    block: int | Sequence[int] | None = None,
    output: Any = None,
    overwrite: bool = False,
    cluster: Any = None,
    progress: Callable[[int, int], object] | None = None,
) -> Any:
    """Find single instances among class labels.

    Holes are filled first, then instances are found and cut apart, and at last those that are too small are left out.
    For the watershed the cores of the instances are the components of the interior class, or where a ``separation``
    is asked for the extended maxima of the distance to its border [1]_; cores grow back to each other over interior
    and edge class, nearest first, or in the order of the scores [2]_. What is as near to one core as to another goes to
    the one whose pixel comes first.

    Labels on disk are read block by block, and with an ``output`` on disk the memory that is taken depends on the
    number of objects only, not on that of pixels. The result is the same whatever the blocks.

    Parameters
    ----------
    labels : array_like of int, shape (*stack, *spatial), or path
        Classes from 1; 0 is "not labelled" and belongs to no instance.
    settings : InstanceSettings
        What to look for.
    spatial : int, optional
        How many of the last axes an instance extends along; each entry of the others is a frame of its own. All axes
        otherwise.
    scores : array_like, shape (*stack, *spatial, classes), optional
        The network's numbers. The watershed then follows those of the interior class instead of distances.
    spacing : sequence of float, optional
        Length of a pixel along each spatial axis, of which only the ratios matter: distances are in pixels of the
        finest axis. Of a file it is what that says, if not given.
    stop : callable, optional
        Asked again and again whether to give up.
    block : int or sequence of int, optional
        Pixels of a block along every spatial axis, or along each; about four million pixels otherwise.
    output : array_like or path, optional
        What the instances are written into: a zarr array, or the name of a new one that ends with ``.zarr``.
    overwrite : bool
        Whether an earlier result of that name is replaced.
    cluster : str or distributed.Client, optional
        Whose workers search the blocks, as for :func:`~napari_fcnseg.segment`; the labels and an ``output`` that ends
        with ``.zarr`` lie in folders that they see. The numbers are the same.
    progress : callable, optional
        Called with the number of blocks that are done, each as often as it is gone through, and of all.

    Returns
    -------
    ndarray of uint16 or uint32, shape (*stack, *spatial)
        0 outside instances; each instance has a number of its own, from 1 without gaps, in the order of the frames
        and in a frame in the order of the instances' first pixels. 32 bits only where 16 do not suffice. With an
        ``output`` that array.

    Raises
    ------
    ImageError
        If the labels are no labels, or the scores are not theirs.
    SettingsError
        If settings do not fit the labels.
    OutOfMemoryError
        If more has to be seen at once than fits into memory, to find the necks of a very large and deep region.
    OutputError
        If the output cannot be written.
    ClusterError
        If the search is not possible on the cluster, or ends there.
    StoppedError
        If it was to give up.

    See Also
    --------
    skimage.measure.label, skimage.morphology.reconstruction, skimage.segmentation.watershed

    References
    ----------
    .. [1] Soille, P., "Morphological Image Analysis: Principles and Applications", 2nd edition, chapters 6 and 9,
           Springer 2003.
    .. [2] Beucher, S. and Meyer, F., "The morphological approach to segmentation: the watershed transformation", in
           "Mathematical Morphology in Image Processing", Marcel Dekker 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_fcnseg import InstanceSettings
    >>> find_instances(np.array([[2, 2, 1, 2], [2, 2, 1, 2]]), InstanceSettings(interior=2)).tolist()
    [[1, 1, 0, 2], [1, 1, 0, 2]]
    """
    file = None
    if isinstance(labels, str | os.PathLike):
        file = read_image([labels], indices=True)
        spacing = file.spacing(file.data.ndim if spatial is None else spatial) if spacing is None else spacing
    given, labels = labels, file.data if file is not None else labels
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    options: dict[str, Any] = {
        "spatial": spatial, "scores": scores, "spacing": spacing, "stop": stop, "block": block,
        "progress": progress,
    }  # fmt: skip
    if cluster is not None:
        check_for_cluster(output)
        with team_for(cluster, given if file is not None else labels, scores) as team:
            return _into_file(Path(output), labels, settings, file, options, overwrite=overwrite, team=team)
    if isinstance(output, str | os.PathLike):
        return _into_file(Path(output), labels, settings, file, options, overwrite=overwrite)
    on_disk = output is not None and type(output) is not np.ndarray
    with searched(labels, settings, **options, room=scratch_in(tempfile.gettempdir() if on_disk else None)) as found:
        if output is None:
            return np.asarray(found)
        check_target(output, found)
        copy_blocks(found, output, Proceed(stop))
        return output


def _into_file(
    path: Path, labels: Any, settings: InstanceSettings, file: ImageFile | None, options: dict[str, Any], *,
    overwrite: bool, team: SearchTeam | None = None,
) -> Any:  # fmt: skip
    if path.suffix.lower() != ZARR:
        raise OutputError(f"{path} cannot be written block by block. Give a name that ends with {ZARR}.")
    plan = Plan((path,), Inputs(files_behind(labels)), overwrite=overwrite, stoppable=True)
    who: dict[str, Any] = {"workers": team.join} if team is not None else {}
    with plan.claim(), searched(labels, settings, **options, room=scratch_beside(path), **who) as found:
        result = file.labelled(found) if file is not None else ImageFile(found, axis_letters((), found.ndim))
        fill = team.copy if team is not None else None
        return grown(path, result, overwrite=overwrite, proceed=Proceed(options["stop"]), fill=fill).finish()
