"""The contents of a sidecar."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from napari_fcnseg import preprocess
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.classes import default_names, palette
from napari_fcnseg.model.sidecar import values
from napari_fcnseg.model.sidecar.bioimageio import described
from napari_fcnseg.model.sidecar.values import Citation, Classes  # noqa: TC001 - dataclass fields are read at run time

FORMAT_VERSION: Final = "1"

_AXES: Final = ("t", "z", "y", "x")


@dataclass(frozen=True)
class Sidecar:
    """Facts about a model that its file lacks. Every field may be empty.

    Attributes
    ----------
    name, description : str
        Of the model, for people.
    class_names, class_colors : tuple of str
        One per class, in the model's order; colours as ``#rrggbb``.
    channel_names : tuple of str
        One per input channel, in the model's order.
    preprocess : tuple of str
        Steps that an image goes through before the model, for example ``"subtract_local_mean:61"``.
    axes : tuple of str
        Names of the spatial axes, ``("y", "x")`` or ``("z", "y", "x")``.
    pixel_size : tuple of float
        Length of a pixel along each of ``axes`` in the images that the model was trained on.
    unit : str
        Of ``pixel_size``, in bioimage.io's words: ``"micrometer"``.
    cite : tuple of Citation
        What to cite.
    outputs : mapping of str to Classes
        Names and colours of the classes of an output, where a model has several.
    patch_size : tuple of int
        Of a model that takes patches of any size.
    keras_1_backend : str
        What computed for a model of Keras 1: ``"theano"`` or ``"tensorflow"``.
    bands_axis : int or None
        The spatial axis of the patch that holds spectral bands and is used up whole; -1 for none.
    outputs_are : str
        ``"classes"`` where a square number of outputs are classes and not a square of labels.
    other : mapping
        Fields of the file that this program does not know; they are kept when it is written.

    Raises
    ------
    SettingsError
        If a value is not of its kind; the sentence names the field.
    """

    name: str = ""
    description: str = ""
    class_names: tuple[str, ...] = ()
    class_colors: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    preprocess: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("y", "x")
    pixel_size: tuple[float, ...] = ()
    unit: str = ""
    cite: tuple[Citation, ...] = ()
    outputs: Mapping[str, Classes] = field(default_factory=dict)
    patch_size: tuple[int, ...] = ()
    keras_1_backend: str = ""
    bands_axis: int | None = None
    outputs_are: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            classes = values.classes_of(self.class_names, self.class_colors)
            checked: dict[str, Any] = {
                "name": values.text("name", self.name),
                "description": values.text("description", self.description, lines=True),
                "class_names": classes.names,
                "class_colors": classes.colors,
                "channel_names": values.texts("channel_names", self.channel_names),
                "preprocess": tuple(map(str, preprocess.parse(values.texts("preprocess", self.preprocess)))),
                "axes": values.axes(self.axes),
                "unit": values.unit(self.unit),
                "cite": values.citations([citation.as_dict() for citation in self.cite]),
                "outputs": values.outputs({name: classes.as_dict() for name, classes in self.outputs.items()}),
            }
            checked["patch_size"] = values.patch_size(self.patch_size)
            checked["keras_1_backend"] = values.backend(self.keras_1_backend)
            checked["outputs_are"] = values.outputs_are(self.outputs_are)
            checked["bands_axis"] = values.bands_axis(self.bands_axis)
            checked["pixel_size"] = values.pixel_size(self.pixel_size, checked["axes"])
        except ValueError as error:
            raise SettingsError(f"The sidecar's field {error}.") from None
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences the user should read."""
        if not self.other:
            return ()
        names = ", ".join(repr(key)[:40] for key in list(self.other)[:10])
        return (f"The sidecar holds fields that this version does not know, and keeps: {names}.",)

    def __str__(self) -> str:
        colors = self.class_colors or ("",) * len(self.class_names)
        size = ", ".join(f"{axis} {length:g}" for axis, length in zip(self.axes, self.pixel_size, strict=False))
        rows = {
            "Name": self.name,
            "Description": self.description,
            "Classes": ", ".join(
                f"{name} {color}".strip() for name, color in zip(self.class_names, colors, strict=True)
            ),
            "Channels": ", ".join(self.channel_names),
            "Preprocessing": ", ".join(self.preprocess) or "none",
            "Pixel size": f"{size} {self.unit}".strip() if size else "",
            **{f"Output {name!r}": ", ".join(classes.names) for name, classes in self.outputs.items()},
            "Cite": "; ".join(" ".join(filter(None, (c.text, c.doi, c.url))) for c in self.cite),
        }
        return "\n".join(f"{title:<14}{row}" for title, row in rows.items() if row)

    def for_output(self, output: str) -> Sidecar:
        """Return what holds for one of a model's outputs."""
        if output not in self.outputs:
            return self
        classes = self.outputs[output]
        return replace(self, class_names=classes.names, class_colors=classes.colors)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the file, as plain data for JSON; empty fields are left out."""
        size = dict(zip(self.axes, self.pixel_size, strict=True)) if self.pixel_size else {}
        known: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "class_names": list(self.class_names),
            "class_colors": list(self.class_colors),
            "channel_names": list(self.channel_names),
            "preprocessing": [described(step, self.axes) for step in preprocess.parse(self.preprocess)],
            "axes": list(self.axes),
            "pixel_size": size,
            "unit": self.unit,
            "cite": [citation.as_dict() for citation in self.cite],
            "outputs": {name: classes.as_dict() for name, classes in self.outputs.items()},
        }
        known |= {"patch_size": list(self.patch_size), "keras_1_backend": self.keras_1_backend}
        known["outputs_are"] = self.outputs_are
        filled: dict[str, Any] = {key: value for key, value in known.items() if value}
        if self.bands_axis is not None:
            filled["bands_axis"] = self.bands_axis
        other = {key: value for key, value in self.other.items() if key not in KEYS}
        return {"format_version": FORMAT_VERSION, **filled, **other}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], spatial: int = 2) -> Sidecar:
        """Return a sidecar from the content of a file.

        Parameters
        ----------
        data : mapping
            The content, as parsed.
        spatial : int
            Number of spatial axes, where the file does not name them.

        Raises
        ------
        SettingsError
            If a value is not of its kind; the sentence names the field.
        """
        version = data.get("format_version", FORMAT_VERSION)
        if str(version) != FORMAT_VERSION:
            raise SettingsError(
                f"The sidecar is of format version {str(version)[:20]!r}, and this program reads version "
                f"{FORMAT_VERSION!r}. Update napari-fcnseg."
            )
        given = {key: value for key, value in data.items() if value is not None}
        known = {f.name: given[f.name] for f in fields(cls) if f.name not in _CONVERTED and f.name in given}
        try:
            axes = values.axes(given.get("axes", _AXES[-spatial:]))
            known["axes"] = axes
            known["preprocess"] = values.steps(given.get("preprocessing", []), axes)
            known["pixel_size"] = values.pixel_sizes(given.get("pixel_size", {}), axes)
            known["cite"] = values.citations(given.get("cite", []))
            known["outputs"] = values.outputs(given.get("outputs", {}))
        except ValueError as error:
            raise SettingsError(f"The sidecar's field {error}.") from None
        return cls(**known, other={key: value for key, value in data.items() if key not in KEYS})


_CONVERTED: Final = frozenset({"preprocess", "axes", "pixel_size", "cite", "outputs", "other"})
#: The fields of the file that this program knows.
KEYS: Final = frozenset(
    {f.name for f in fields(Sidecar)} - {"preprocess", "other"} | {"format_version", "preprocessing"}
)


def check(sidecar: Sidecar, *, classes: int, channels: int, spatial: int) -> None:
    """Check that a sidecar fits a model.

    Raises
    ------
    SettingsError
        If it speaks of other numbers of classes, channels or spatial axes.
    """
    for field_name, given, have, what in (
        ("class_names", len(sidecar.class_names), classes, "classes"),
        ("class_colors", len(sidecar.class_colors), classes, "classes"),
        ("channel_names", len(sidecar.channel_names), channels, "channels"),
        ("axes", len(sidecar.axes), spatial, "spatial axes"),
    ):
        if given and given != have:
            raise SettingsError(
                f"The sidecar's field {field_name!r} has {given} entries, and the model has {have} {what}."
            )
    for step in preprocess.parse(sidecar.preprocess):
        for argument in step.arguments:
            if isinstance(argument, tuple) and len(argument) != channels:
                raise SettingsError(
                    f"The sidecar's field 'preprocessing' has numbers for {len(argument)} channels in {step.name}, and "
                    f"the model has {channels} channels."
                )


def blank(*, classes: int, channels: int, spatial: int) -> Sidecar:
    """Return a sidecar to fill in, for a model with these numbers of classes, channels and spatial axes."""
    return Sidecar(
        class_names=default_names("class", classes),
        class_colors=palette(classes),
        channel_names=default_names("channel", channels),
        axes=_AXES[-spatial:],
    )
