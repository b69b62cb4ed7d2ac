"""The provenance file beside a result, and checks that it belongs to that very file.

It holds the size and the hash of each file that it is about, so that it never speaks for another one: not after the
program was killed between two files, not after somebody painted in the labels. A provenance that takes the place of
another one holds it until its own results have their names, so that nothing is lost in between either.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import grown, stage_image
from napari_fcnseg.imagefile.identity import facts_of_file
from napari_fcnseg.system.json_file import json_text, read_json
from napari_fcnseg.system.saving import ZARR, Staged, stage
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.stores import described_in, store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from pathlib import Path

    from napari_fcnseg.imagefile import GrowingZarr, ImageFile
    from napari_fcnseg.system.saving import Plan

PROGRAM = "napari-fcnseg"
_OF_FILE = (
    "files",
    "written",
    "class_names",
    "class_colors",
    "inputs",
)  # keys that may differ between files of one run
_REPLACED = "replaced"  # the earlier provenance, while the results are not all replaced
_MOST_BYTES = 2**24  # of a provenance, with a certificate in it


def provenance_path(result: Path) -> Path:
    """Return where a result's provenance lies: ``labels.tif`` has ``labels.provenance.json``.

    That of a result inside a Zarr folder lies beside that folder: ``plate.zarr/A/1/0`` has
    ``plate.report/A-1-0.provenance.json``.
    """
    store = store_of(result)
    if store != result:
        inside = "-".join(result.relative_to(store).parts)
        return report_folder(store) / f"{inside}.provenance.json"
    return result.parent / f"{result.stem}.provenance.json"


def report_folder(store: Path) -> Path:
    """Return where what belongs to the results inside a Zarr folder lies: beside it."""
    return store.parent / f"{store.stem}.report"


def provenance_in(path: Path) -> dict[str, Any]:
    """Return the provenance in a file, of the results that are there; empty where there is none of this program."""
    new, old = _both(path)
    return old if old and not _is_there(path, new) and _is_there(path, old) else new


def provenance_of_file(result: Path) -> dict[str, Any]:
    """Return the provenance of a result; empty where there is none, or it is that of another or an earlier file."""
    for found in _both(provenance_path(result)):
        files = found.get("files")
        if found and not isinstance(files, dict):  # of a version that did not say
            return found
        if isinstance(files, dict) and result.name in files and is_as_written(result, files[result.name]):
            return found
    return {}


def settle_provenance(path: Path, *, complete: bool) -> None:
    """Remove the replaced provenance from a new one, or restore it.

    Parameters
    ----------
    path : Path
        Where it is.
    complete : bool
        Whether all that it is about has been written. If only a part has, both are kept.

    Raises
    ------
    OutputError
        If it could not be written.
    """
    new, old = _both(path)
    if old and (complete or not _is_there(path, new)):
        _stage(path, new if complete else old).publish(overwrite=True)


def _both(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the provenance in a file, and the one that it replaces; empty where there is none of this program."""
    try:
        if not path.is_file():
            return {}, {}
        data = read_json(path, "provenance", _MOST_BYTES)
    except (FcnSegError, OSError):  # a name that is too long, for one
        return {}, {}
    if data.get("program") != PROGRAM:
        return {}, {}
    old = data.pop(_REPLACED, None)
    return data, old if isinstance(old, dict) else {}


def _is_there(path: Path, provenance: Mapping[str, Any]) -> bool:
    """Whether one of the files that a provenance is about lies beside it, as it was written."""
    files = provenance.get("files")
    found = files.items() if isinstance(files, dict) else ()
    return any(is_as_written(path.parent / name, entry) for name, entry in found)


def print_of(path: Path) -> dict[str, Any]:
    """Return a fingerprint of a file or a Zarr folder, as plain data."""
    size, modified = facts_of_file(path)
    return {"bytes": size, "modified": str(modified), "sha256": _sha256(path)}  # JSON's numbers are not that long


def is_as_written(path: Path, entry: Any) -> bool:
    """Whether a file, or a Zarr folder, is as its entry says (:func:`print_of`; earlier versions noted its size)."""
    try:
        size, modified = facts_of_file(path)
        if not isinstance(entry, dict):
            return bool(entry == size)
        if entry.get("bytes") != size:
            return False
        return entry.get("modified") == str(modified) or entry.get("sha256") == _sha256(path)
    except OSError:
        return False


def stage_provenance(path: Path, provenance: Mapping[str, Any], results: Mapping[str, Path]) -> Staged:
    """Write a provenance to a temporary file, to be published.

    Parameters
    ----------
    path : Path
        Its name.
    provenance : mapping
        Plain data.
    results : mapping of str to Path
        The files that it is about: their names, and where each lies now.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    earlier = provenance_in(path)
    kept = _others(path, earlier, results) if _same_run(earlier, provenance) else {}
    files = {**kept, **{name: print_of(place) for name, place in results.items()}}
    new = {**provenance, "files": files}
    moving = {name for name, place in results.items() if place != path.parent / name}
    old = {name: entry for name, entry in (earlier.get("files") or {}).items() if name in moving}
    if _is_there(path, {"files": old}):
        new[_REPLACED] = earlier
    return _stage(path, new)


def _stage(path: Path, provenance: Mapping[str, Any]) -> Staged:
    text = json_text(path, dict(provenance))
    try:
        return stage(path, lambda part: part.write_text(text, "utf-8", "backslashreplace", "\n"))
    except OSError as error:
        raise OutputError(f"{path} could not be written: {reason(error)}. {remedy(error)}") from None


def move_provenance(result: Path, path: Path) -> None:
    """Let a provenance speak of its one result under the name that this has been moved to.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    earlier, target = provenance_path(result), provenance_path(path)
    found = provenance_in(earlier)
    files = {name: entry for name, entry in (found.get("files") or {}).items() if name != result.name}
    try:
        target.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target} could not be written: {reason(error)}. {remedy(error)}") from None
    _stage(target, {**found, "files": {path.name: print_of(path)}}).publish(overwrite=True)
    if files:  # of results that stay beside
        _stage(earlier, {**found, "files": files}).publish(overwrite=True)
    else:
        earlier.unlink(missing_ok=True)


def write_with_provenance(
    plan: Plan, image: ImageFile, provenance: Mapping[str, Any], fill: Callable[[GrowingZarr], object] | None = None
) -> None:
    """Write the one result of a plan that is claimed, and what it writes beside, one right after the other.

    ``fill`` writes the pixels of a Zarr, if others are to.

    Raises
    ------
    OutputError
        If one could not be written.
    """
    (path,) = plan.outputs
    if path.suffix.lower() == ZARR:
        result: Staged | GrowingZarr = grown(path, image, overwrite=plan.overwrite, fill=fill)
    else:
        result = stage_image(path, image)
    publish_with_provenance(plan, {path: result}, provenance)


def publish_with_provenance(
    plan: Plan, results: Mapping[Path, Staged | GrowingZarr], provenance: Mapping[str, Any]
) -> None:
    """Publish results that are staged, and before them what a plan that is claimed writes beside.

    Raises
    ------
    OutputError
        If one could not be written.
    """
    parts = {path.name: result.part for path, result in results.items()}
    problems = []
    for beside in plan.beside:
        try:
            written = stage_provenance(beside, {"program": PROGRAM, **provenance}, parts)
            written.publish(overwrite=plan.overwrite or beside in plan.free, inputs=plan.inputs)
        except OutputError as error:  # the result is not lost for that
            problems.append(str(error))
    for result in results.values():
        try:
            if isinstance(result, Staged):
                result.publish(overwrite=plan.overwrite, inputs=plan.inputs)
            else:
                result.finish()
        except OutputError as error:
            problems.append(str(error))
    for beside in plan.beside:
        settle_provenance(beside, complete=not problems)
    if problems:
        raise OutputError(" ".join(problems))


def check_provenance(path: Path, results: Iterable[Path], provenance: Mapping[str, Any] | None = None) -> None:
    """Check that a provenance may be replaced: it is that of one of the new results, or of none that exists.

    Parameters
    ----------
    path : Path
        Where it is.
    results : iterable of Path
        The new results.
    provenance : mapping, optional
        Theirs, if it is known: of the same run it may be.

    Raises
    ------
    OutputError
        If it is that of a file that is still there, or is none.
    """
    earlier = provenance_in(path)
    if provenance is not None and not earlier and os.path.lexists(path):
        raise OutputError(f"{path} is in the way and is no provenance. Move it away, or choose another name.")
    names = {result.name for result in results}
    others = {} if names & set(earlier.get("files") or ()) else _others(path, earlier, names)
    if others and not (provenance is not None and _same_run(earlier, provenance)):
        raise OutputError(
            f"{path} says where {next(iter(others))} comes from and would be written over. Choose another name for the "
            "result."
        )


def _others(path: Path, provenance: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    """Return the entries of files that a provenance speaks for, and that have none of some names."""
    files = provenance.get("files")
    found = files.items() if isinstance(files, dict) else ()
    return {
        name: entry
        for name, entry in found
        if name not in names and (path.parent / name).exists() and is_as_written(path.parent / name, entry)
    }


def _same_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two provenances say the same, but for the file that the result is in."""
    kept = ({key: value for key, value in each.items() if key not in _OF_FILE} for each in (one, other))
    return len({json.dumps(each, sort_keys=True) for each in kept}) == 1


def _sha256(path: Path) -> str:
    """Return the hash of a file; of a Zarr folder that of what describes it, where each run has a mark of its own."""
    with (described_in(path) if path.is_dir() else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
