"""The values that a sidecar may hold, checked.

Everything here raises ``ValueError`` with a clause that begins with the field's name.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from napari_fcnseg.model.sidecar import bioimageio
from napari_fcnseg.system.safe_json import is_number, is_whole

MAX_TEXT: Final = 500
MAX_LINES: Final = 20_000
MAX_ENTRIES: Final = 10_000

#: Units of length that the bioimage.io description knows.
UNITS: Final = (
    "angstrom", "attometer", "centimeter", "decimeter", "exameter", "femtometer", "foot", "gigameter", "hectometer",
    "inch", "kilometer", "megameter", "meter", "micrometer", "mile", "millimeter", "nanometer", "parsec", "petameter",
    "picometer", "terameter", "yard", "yoctometer", "yottameter", "zeptometer", "zettameter",
)  # fmt: skip
_SHORT_UNITS: Final = {
    "µm": "micrometer", "μm": "micrometer", "um": "micrometer", "micron": "micrometer", "nm": "nanometer",
    "mm": "millimeter", "cm": "centimeter", "m": "meter", "Å": "angstrom",
}  # fmt: skip

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>]{1,300}")
_URL = re.compile(r"https?://[^\s\"<>]{1,2000}")
_AXIS = re.compile(r"[a-z]{1,16}")
_RESERVED: Final = ("batch", "b", "channel", "c")
#: Control characters, with which a terminal or a label would show something else than the text.
_HIDDEN: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def patch_size(value: object) -> tuple[int, ...]:
    """Check the sizes of a patch."""
    sizes = tuple(value) if isinstance(value, list | tuple) else (0,)
    if len(sizes) > 3 or not all(is_whole(n) and 0 < n < 2**16 for n in sizes):
        raise ValueError(f"'patch_size' is {str(value)[:60]!r} instead of up to three whole numbers above 0")
    return sizes


def backend(value: object) -> str:
    """Check what computed for Keras 1."""
    if value not in ("", "theano", "tensorflow"):
        raise ValueError(f"'keras_1_backend' is {str(value)[:60]!r} instead of 'theano' or 'tensorflow'")
    return str(value)


def outputs_are(value: object) -> str:
    """Check what the outputs of a model are said to be."""
    if value not in ("", "classes"):
        raise ValueError(f"'outputs_are' is {str(value)[:60]!r} instead of 'classes'")
    return str(value)


def bands_axis(value: object) -> int | None:
    """Check the number of an axis."""
    if value is not None and not (is_whole(value) and -1 <= value <= 2):
        raise ValueError(f"'bands_axis' is {str(value)[:60]!r} instead of the number of a spatial axis, or -1 for none")
    return value


@dataclass(frozen=True)
class Classes:
    """Names and colours of an output's classes."""

    names: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, list[str]]:
        """Return it as plain data for JSON."""
        return {"class_names": list(self.names), "class_colors": list(self.colors)}


@dataclass(frozen=True)
class Citation:
    """Something to cite.

    Attributes
    ----------
    text : str
        Free text.
    doi, url : str
        Where to find it; empty where unknown.
    other : mapping
        Fields of the file that this program does not know.
    """

    text: str
    doi: str = ""
    url: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON, as bioimage.io writes it."""
        known = {"text": self.text, "doi": self.doi, "url": self.url}
        return {**{key: value for key, value in known.items() if value}, **self.other}


def text(name: str, value: Any, *, lines: bool = False) -> str:
    """Return a short text of printable characters; ``lines`` allows several lines."""
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is {shown(value)} instead of a text")
    limit = MAX_LINES if lines else MAX_TEXT
    if len(value) > limit:
        raise ValueError(f"{name!r} is longer than {limit} characters")
    if any((unicodedata.category(c) in _UNPRINTED and not (lines and c in "\n\t")) or c in _HIDDEN for c in value):
        raise ValueError(f"{name!r} holds control characters: {shown(value)}")
    return value


_UNPRINTED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts; none of them is empty."""
    checked = tuple(text(f"{name}[{n}]", entry) for n, entry in enumerate(entries(name, value)))
    if not all(entry.strip() for entry in checked):
        raise ValueError(f"{name!r} has an empty entry")
    return checked


def entries(name: str, value: Any) -> Sequence[Any]:
    """Return a list that is not too long."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name!r} is {shown(value)} instead of a list")
    if len(value) > MAX_ENTRIES:
        raise ValueError(f"{name!r} has more than {MAX_ENTRIES} entries")
    return value


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return an object with printable keys."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name!r} is {shown(value)} instead of an object")
    for key in value:
        text(name, key)
    return value


def classes_of(names: Any, colors: Any, prefix: str = "") -> Classes:
    """Return names and colours that fit together."""
    checked = Classes(texts(f"{prefix}class_names", names), texts(f"{prefix}class_colors", colors))
    for n, color in enumerate(checked.colors):
        if not _COLOR.fullmatch(color):
            raise ValueError(f"'{prefix}class_colors[{n}]' is {shown(color)} instead of a colour such as '#0072b2'")
    if checked.names and checked.colors and len(checked.names) != len(checked.colors):
        raise ValueError(
            f"'{prefix}class_colors' has {len(checked.colors)} entries and '{prefix}class_names' {len(checked.names)}"
        )
    return Classes(checked.names, tuple(color.lower() for color in checked.colors))


def axes(value: Any) -> tuple[str, ...]:
    """Return names of spatial axes."""
    names = texts("axes", value)
    good = all(_AXIS.fullmatch(name) and name not in _RESERVED for name in names)
    if not good or not 1 <= len(names) <= 4 or len(set(names)) < len(names):
        raise ValueError(f"'axes' is {shown(list(names))} instead of the spatial axes' names, such as ['y', 'x']")
    return names


def unit(value: Any) -> str:
    """Return the full name of a unit of length."""
    word = text("unit", value)
    word = _SHORT_UNITS.get(word, word)
    if word and word not in UNITS:
        raise ValueError(f"'unit' is {shown(value)} instead of a unit of length such as 'micrometer'")
    return word


def pixel_size(value: Any, names: Sequence[str]) -> tuple[float, ...]:
    """Return a length per axis."""
    sizes = tuple(entries("pixel_size", value))
    if not all(is_number(size) and 0 < size < math.inf for size in sizes):
        raise ValueError(f"'pixel_size' is {shown(list(sizes))} instead of numbers above 0")
    if sizes and len(sizes) != len(names):
        raise ValueError(f"'pixel_size' has {len(sizes)} entries, and the axes are {', '.join(names)}")
    return tuple(map(float, sizes))


def pixel_sizes(value: Any, names: Sequence[str]) -> tuple[float, ...]:
    """Return a length per axis, from an object with one under each axis's name."""
    if not isinstance(value, Mapping):
        example = ", ".join(f'"{name}": 0.65' for name in names)
        raise ValueError(f"'pixel_size' is {shown(value)} instead of {{{example}}}")
    sizes = mapping("pixel_size", value)
    if sizes and set(sizes) != set(names):
        raise ValueError(f"'pixel_size' has {shown(list(sizes))} and not exactly the axes {', '.join(names)}")
    return pixel_size([sizes[name] for name in names] if sizes else [], names)


def steps(value: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Return preprocessing steps as text, from the specification's way of writing them."""
    found = []
    for n, entry in enumerate(entries("preprocessing", value)):
        try:
            found.append(bioimageio.understood(entry, names))
        except ValueError as error:
            raise ValueError(f"'preprocessing[{n}]' {error}") from None
    return tuple(str(step) for step in found if step is not None)


def citations(value: Any) -> tuple[Citation, ...]:
    """Return what to cite."""
    return tuple(citation(entry, f"cite[{n}]") for n, entry in enumerate(entries("cite", value)))


def citation(value: Any, name: str = "cite") -> Citation:
    """Return one thing to cite."""
    entry = mapping(name, value)
    known = {
        key: text(f"{name}.{key}", entry[key] if entry.get(key) is not None else "", lines=key == "text")
        for key in ("text", "doi", "url")
    }
    known["doi"] = known["doi"].removeprefix("https://doi.org/").removeprefix("doi:")
    if not known["text"].strip():
        raise ValueError(f"'{name}.text' is missing")
    if known["doi"] and not _DOI.fullmatch(known["doi"]):
        raise ValueError(f"'{name}.doi' is {shown(known['doi'])} instead of a DOI such as '10.1000/182'")
    if known["url"] and not _URL.fullmatch(known["url"]):
        raise ValueError(f"'{name}.url' is {shown(known['url'])} instead of an address that begins with https://")
    return Citation(**known, other={key: v for key, v in entry.items() if key not in known})


def outputs(value: Any) -> dict[str, Classes]:
    """Return the classes of each output."""
    found = {}
    for name, entry in mapping("outputs", value).items():
        prefix = f"outputs.{name}."
        classes = mapping(prefix[:-1], entry)
        if unknown := sorted(set(classes) - {"class_names", "class_colors"}):
            raise ValueError(f"'{prefix[:-1]}' has {shown(unknown[0])}; it can have class_names and class_colors")
        names, colors = (classes.get(key, []) for key in ("class_names", "class_colors"))
        found[name] = classes_of(names, colors, prefix)
    return found


def shown(value: Any) -> str:
    """Return a value as text for a message, shortened."""
    return repr(value)[:60]
