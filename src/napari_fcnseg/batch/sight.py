"""Whether a worker sees the images and the folder of the results of a batch as the head does.

One that does not would fail with each image that it is given, and quickly, so that it would be given nearly all; or it
would write results where nobody looks for them.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import ClusterError, OutputError
from napari_fcnseg.system.saving.reasons import reason, remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LOOKED_AT: Final = 4  # images, spread over the batch


@contextlib.contextmanager
def sight_of(folder: Path, images: Sequence[Any], describe: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    """Mark a folder, and describe some images, for as long as workers may join.

    Parameters
    ----------
    folder : Path
        For the results.
    images : sequence
        All of them.
    describe : callable
        Returns of an image what tells a worker whether it sees the same, as plain data.

    Yields
    ------
    dict
        What :func:`check_sight` looks at, as plain data.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    mark = folder / f".fcnseg-{secrets.token_hex(8)}"
    some = images[:: max(1, -(-len(images) // _LOOKED_AT))]
    try:
        mark.touch()
    except OSError as error:
        said = remedy(error, "Choose another folder for the results.")
        raise OutputError(f"The folder {folder} cannot be written: {reason(error)}. {said}") from None
    try:
        yield {"mark": str(mark.absolute()), "images": [describe(image) for image in some]}
    finally:
        mark.unlink(missing_ok=True)


def check_sight(sight: Mapping[str, Any], same: Callable[[Any], bool]) -> None:
    """Find out whether this process sees what the head has marked and described.

    Parameters
    ----------
    sight : mapping
        As :func:`sight_of` yields it.
    same : callable
        Whether an image that was described is seen as it was.

    Raises
    ------
    ClusterError
        If it does not, or cannot write there.
    """
    mark = Path(sight["mark"])
    if not mark.exists():
        raise ClusterError(
            f"It does not see the folder of the results, {mark.parent}, as the head does. Name one that all see under "
            "the same path."
        )
    try:
        own = mark.with_name(f"{mark.name}-{secrets.token_hex(4)}")
        own.touch()
        own.unlink()
    except OSError as error:
        raise ClusterError(f"It cannot write into {mark.parent}: {reason(error)}.") from None
    for image in sight["images"]:
        try:
            seen = same(image)
        except Exception:
            seen = False
        if not seen:
            raise ClusterError(
                f"It does not see the image {image[0][0]} as the head does. Have all see the images under the same "
                "path."
            )
