"""The images of a batch: those of a folder, or some that are named one by one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.batch.channel_files import grouped, patterns_of
from napari_fcnseg.batch.item import BatchItem, FoundImages
from napari_fcnseg.batch.object_tables import is_object_table
from napari_fcnseg.batch.plate_fields import fields_in
from napari_fcnseg.batch.report import FAILED, SKIPPED, ReportLine, is_report
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.imagefile import OUTPUTS, READ, ZARR
from napari_fcnseg.imagefile.hdf5 import HDF5, holds_image
from napari_fcnseg.imagefile.plates import is_plate
from napari_fcnseg.imagefile.problems import ending_of
from napari_fcnseg.run.output_kinds import LABELS, OUTPUT_KINDS
from napari_fcnseg.run.provenance_file import provenance_in, provenance_of_file, provenance_path
from napari_fcnseg.system.saving.names import alike
from napari_fcnseg.system.saving.reasons import reason

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.imagefile import ImageFile

#: Endings of files that are taken for images.
IMAGE_SUFFIXES = tuple(dict.fromkeys((*OUTPUTS, *READ)))
_BESIDE = (".provenance.json", ".certificate.json", ".fcnseg.json")  # ours, beside images, results and models
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # in the names of files, on one system or another
_PARTIAL = re.compile(r"\.partial\.[^.]+$", re.IGNORECASE)
_LONGEST = 80  # letters of a name


def images_in(
    folder: str | os.PathLike[str], recursive: bool = False, results: Path | None = None, channels: Sequence[str] = (),
    wells: Sequence[str] = (),
) -> FoundImages:  # fmt: skip
    """Return the images in a folder, or the fields of a plate of OME-Zarr.

    Hidden files, and what this program wrote, are passed over without a word.

    Parameters
    ----------
    folder : path
        The folder.
    recursive : bool
        Whether images in its subfolders are taken too.
    results : Path, optional
        The folder for the results: passed over if it is a subfolder.
    channels : sequence of str, optional
        A pattern such as ``"*_dapi.tif"`` for each channel, in the model's order, where each has a file of its own.
    wells : sequence of str, optional
        Of a plate: the wells to take, such as ``"A1"``; all otherwise.

    Raises
    ------
    ImageError
        If the folder cannot be read, or holds no image.
    SettingsError
        If a pattern is none, or two files fit it for the same image; if there is no such well, or no plate.
    """
    top, patterns = Path(folder), patterns_of(channels)
    if is_plate(top):
        if patterns:
            raise SettingsError(f"{top} is a plate, whose images have their channels. Leave --channels out.")
        return fields_in(top, wells)
    if wells:
        raise SettingsError(f"Wells are chosen of a plate, and {top} is none. Leave them out, or name a plate.")
    try:
        apart = results.resolve() if results is not None else None
        found = list(_walk(top, recursive, apart if apart != top.resolve() else None))
    except OSError as error:
        raise ImageError(f"The folder {top} cannot be read: {reason(error)}. Choose another one.") from None
    paths = [path for path, reason in found if not reason]
    lines = [ReportLine(path.relative_to(top).as_posix(), SKIPPED, reason) for path, reason in found if reason]
    if not paths:
        deeper = "" if recursive else ", or have its subfolders searched too (--recursive)"
        raise ImageError(
            f"There is no image in {top}. Files that end with {', '.join(IMAGE_SUFFIXES)} are looked for, and results "
            f"of this program passed over. Choose another folder{deeper}."
        )
    others = tuple(path for path, reason in found if reason and path.suffix.lower() in IMAGE_SUFFIXES)
    if patterns:
        groups = grouped(paths, top, patterns)
        wanted = [(Path(group.name).parent / group.key).as_posix() for group in groups.whole]
        targets = _unique(wanted, [group.name for group in groups.whole])
        joined = [
            BatchItem(group.name, target, group.files[0], more=group.files[1:])
            for group, target in zip(groups.whole, targets, strict=True)
        ]
        rest = [path for path, _ in groups.left_out]
        lines += [ReportLine(name, FAILED, why) for name, why in groups.broken]
        lines += [ReportLine(path.relative_to(top).as_posix(), SKIPPED, why) for path, why in groups.left_out]
        return FoundImages(tuple(joined), tuple(lines), (*others, *rest, *groups.apart))
    names = [path.relative_to(top).as_posix() for path in paths]
    items = [BatchItem(name, target, path) for name, target, path in zip(names, _targets(names), paths, strict=True)]
    return FoundImages(tuple(items), tuple(lines), others)


def named_items(images: Sequence[tuple[str, ImageFile]]) -> tuple[BatchItem, ...]:
    """Return images that have a name each, of layers for example, as items whose results are called like them."""
    clean = [_FORBIDDEN.sub("_", name)[:_LONGEST].strip(" .") or "image" for name, _ in images]
    targets = _unique(clean, clean)
    return tuple(BatchItem(name, target, image=image) for (name, image), target in zip(images, targets, strict=True))


def _walk(folder: Path, recursive: bool, results: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield what is in a folder, with the reason why it is not taken; an empty one for an image."""
    paths = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_natural)
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    known = {path.name for path in images} | {_stem(path.name) for path in images}
    for path in paths:
        ending = ending_of(path)
        if path.is_dir() and ending != ZARR:
            if path.resolve() != results:
                yield from _inside(path, recursive, results)
            elif recursive:
                for image, why in _inside(path, recursive, results):
                    yield image, why or "It lies in the folder for the results, which is not searched."
        elif ending in HDF5:
            yield path, "" if holds_image(path) else "It is an HDF5 file without an image: a model, or something else."
        elif ending in IMAGE_SUFFIXES:
            if (reason := _why_none(path, known)) is not None:
                yield path, reason
        elif not path.name.endswith(_BESIDE) and not is_report(path) and not is_object_table(path):
            kind = f"Files that end with {ending}" if ending else "Files without an ending"
            yield path, f"{kind} are not read. If it is an image, save it as TIFF."


def _inside(folder: Path, recursive: bool, results: Path | None) -> Iterator[tuple[Path, str]]:
    if not recursive:
        yield folder, "It is a folder. Have subfolders searched too (--recursive) if there are images in it."
    elif folder.is_symlink():
        yield folder, "It is a link to a folder, which is not followed. Choose that folder itself."
    else:
        try:
            yield from _walk(folder, recursive, results)
        except OSError as error:
            yield folder, f"The folder cannot be read: {reason(error)}."


def _why_none(path: Path, known: set[str]) -> str | None:
    """Return why an image file is not taken, empty if it is; None for what this program wrote.

    ``known`` has the names of the images beside it, and their stems.
    """
    if provenance_of_file(path):
        return None
    if _says(provenance_path(path), path):
        return "This program wrote it, and it was changed since. If it is an image, give it another name."
    for kind in OUTPUT_KINDS:
        source, mark, ending = path.name.rpartition(f".{kind.name}.")
        if not mark:
            continue
        labels = path.with_name(f"{source}.labels.{ending}")
        if ".partial." in f".{ending}" or _says(provenance_path(labels), labels):
            return None
        if source in known or (kind is not LABELS and labels.exists()):
            return "It is called as a result is and this program did not write it. If it is an image, rename it."
    if _PARTIAL.search(path.name):
        return "It is called as what a stopped run leaves. If it is an image, rename it."
    return ""


def _says(provenance: Path, result: Path) -> bool:
    """Whether a provenance of this program speaks of a result, be it of an earlier one of that name."""
    found = provenance_in(provenance)
    files = found.get("files")
    return bool(found) and (not isinstance(files, dict) or result.name in files)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that puts ``2.tif`` before ``10.tif``."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _stem(name: str) -> str:
    """Return a file's name without its ending: ``"a"`` of ``"a.tif"`` and of ``"a.ome.tif"``."""
    return name[: -len(Path(name).suffix)].removesuffix(".ome") if Path(name).suffix else name


def _targets(names: Sequence[str]) -> list[str]:
    return _unique([_stem(name) for name in names], names)


def _unique(wanted: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Return the names that are wanted, the longer ones where two would be the same, or with a number.

    Small and capital letters are the same to many file systems.
    """
    counts = Counter(map(alike, wanted))
    used: set[str] = set()
    result = []
    for short, long in zip(wanted, longer, strict=True):
        name = base = short if counts[alike(short)] == 1 else long
        number = 1
        while alike(name) in used:
            number += 1
            name = f"{base}-{number}"
        used.add(alike(name))
        result.append(name)
    return result
