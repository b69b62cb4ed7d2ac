"""What a batch looks for in its results: objects, as the dock's settings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg._napari.segment.results.instance_form import InstanceForm
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.model.patch_model import PatchModel


@dataclass(frozen=True)
class BatchSearch:
    """The objects that a batch may find.

    Attributes
    ----------
    settings : InstanceSettings or None
        What to look for; None where that is not known.
    volume : bool
        Whether objects go through the slices.
    classes : str
        What the classes are called.
    problem : str
        Why it is not known.
    """

    settings: InstanceSettings | None = None
    volume: bool = False
    classes: str = ""
    problem: str = ""

    @classmethod
    def of(cls, form: InstanceForm, model: PatchModel, hints: ModelHints) -> BatchSearch:
        """Return what the dock's form says, for a model."""
        given = hints.class_names if len(hints.class_names) == model.classes else model.class_names
        names = dict(enumerate(given, start=1))
        volume = form.volume.isChecked() or len(model.patch_shape) == 3
        try:
            settings = form.settings_for(names, 3 if volume else 2)
        except SettingsError as error:
            return cls(problem=str(error))
        called = ", ".join(names.get(number, f"class {number}") for number in settings.classes)
        if settings.edge is not None:
            called += f" (edge: {names.get(settings.edge, settings.edge)})"
        return cls(settings, volume, called)
