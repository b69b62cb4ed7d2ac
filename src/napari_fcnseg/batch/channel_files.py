"""Images whose channels have a file each: which files of a folder are one image."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_fcnseg.errors import ImageError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class ChannelPattern:
    """How the files of one channel are called.

    Attributes
    ----------
    text : str
        As it was given, ``"*_dapi.tif"``: each ``*`` stands for any letters.
    """

    text: str

    def key(self, name: str) -> str | None:
        """Return what the stars stand for in a file's name, None where it is not called so."""
        parts = "(.*)".join(map(re.escape, self.text.split("*")))
        found = re.fullmatch(parts, name, re.IGNORECASE | re.DOTALL)
        return "_".join(filter(None, found.groups())) if found else None

    def name(self, key: str) -> str:
        """Return what the file of an image is called, for a pattern of one star."""
        return self.text.replace("*", key, 1) if self.text.count("*") == 1 else self.text


@dataclass(frozen=True)
class ChannelGroup:
    """The files of one image, in the order of its channels; ``name`` is what the report calls it."""

    key: str
    name: str
    files: tuple[Path, ...]


@dataclass
class ChannelGroups:
    """What became of the files of a folder.

    Attributes
    ----------
    whole : list of ChannelGroup
        Images with a file for each channel.
    broken : list of (str, str)
        Images without: what the report calls them, and the sentence.
    left_out : list of (Path, str)
        Files that fit no pattern, and the sentence.
    apart : list of Path
        The files of the broken ones.
    """

    whole: list[ChannelGroup] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)
    apart: list[Path] = field(default_factory=list)


def patterns_of(texts: Sequence[str]) -> tuple[ChannelPattern, ...]:
    """Return the patterns of channels.

    Raises
    ------
    SettingsError
        One of them has no star, names a folder, or is there twice.
    """
    for text in texts:
        if "*" not in text:
            raise SettingsError(
                f"{text!r} is no pattern of a channel's files: a star stands for what differs from image to image, as "
                "in '*_dapi.tif'. In a terminal, put it in quotes."
            )
        if "/" in text or "\\" in text:
            raise SettingsError(f"The pattern {text!r} names a folder. Give the folder first, and patterns of names.")
    if len({text.casefold() for text in texts}) < len(texts):
        raise SettingsError("Two channels have the same pattern. Give one for each channel, in the model's order.")
    if len(texts) == 1:
        raise SettingsError("One pattern is one channel: leave --channels out, or give one for each channel.")
    return tuple(map(ChannelPattern, texts))


def grouped(paths: Sequence[Path], top: Path, patterns: Sequence[ChannelPattern]) -> ChannelGroups:
    """Put together the files of one image.

    A file that fits several patterns is of the longest: ``a_dapi.tif`` fits ``*.tif`` and ``*_dapi.tif``.

    Parameters
    ----------
    paths : sequence of Path
        The image files, in the order of the batch.
    top : Path
        The folder of the batch. Files of one image lie in the same subfolder of it.
    patterns : sequence of ChannelPattern
        One for each channel.

    Raises
    ------
    ImageError
        No file fits any pattern.
    SettingsError
        Two files fit one pattern for the same image.
    """
    groups: dict[tuple[Path, str], dict[ChannelPattern, Path]] = {}
    result = ChannelGroups()
    longest = sorted(patterns, key=lambda pattern: -len(pattern.text))
    for path in paths:
        fitting = next((p for p in longest if p.key(path.name) is not None), None)
        if fitting is None:
            result.left_out.append((path, "It fits none of the patterns of the channels."))
            continue
        files = groups.setdefault((path.parent, (fitting.key(path.name) or "").casefold()), {})
        if fitting in files:
            raise SettingsError(
                f"{files[fitting].name} and {path.name} both fit {fitting.text!r}. Make the pattern longer."
            )
        files[fitting] = path
    if not groups:
        raise ImageError(
            f"No image in {top} fits {' or '.join(repr(p.text) for p in patterns)}. Check the patterns: a "
            "star stands for any letters."
        )
    for files in groups.values():
        _add(result, files, patterns, top)
    return result


def _add(
    result: ChannelGroups, files: dict[ChannelPattern, Path], patterns: Sequence[ChannelPattern], top: Path
) -> None:
    present = [pattern for pattern in patterns if pattern in files]
    first = files[present[0]]
    key = present[0].key(first.name) or first.stem
    name = first.relative_to(top).as_posix()
    missing = [pattern.name(key) for pattern in patterns if pattern not in files]
    if not missing:
        result.whole.append(
            ChannelGroup(key.strip(" _-.") or first.stem, name, tuple(files[pattern] for pattern in patterns))
        )
        return
    beside = " and ".join(missing)
    what = "is" if len(missing) == 1 else "are"
    result.broken.append((name, f"{beside} {what} missing beside it. Add the file, or move this one away."))
    result.apart += files.values()
