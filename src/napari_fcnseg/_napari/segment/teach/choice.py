"""What is taught on, as it stands in the dock. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.layers.axis_names import letters_of
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec, full_resolution
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_fcnseg._napari.layers.axes import AxisChoice
    from napari_fcnseg._napari.segment.image.image_box import ImageBox
    from napari_fcnseg._napari.segment.model_choice import ModelChoice
    from napari_fcnseg._napari.segment.run.settings_box import SettingsBox
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True, eq=False)
class TeachChoice:
    """A snapshot of what is chosen.

    Attributes
    ----------
    source : ImageLayers
        The image.
    base : PatchModel or None
        The model to begin with.
    settings : RunSettings
        What the user chose for runs.
    names, colors : tuple of str
        Of the model's classes; empty without a model.
    """

    source: ImageLayers
    base: PatchModel | None
    settings: RunSettings
    names: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return self.source.need.channels

    def teach_settings(self) -> Any:
        """Return the settings of teaching, which are those of :func:`napari_fcnseg.teach`.

        Raises
        ------
        SettingsError
            If teaching has no such setting.
        """
        from napari_fcnseg.teaching.settings import TeachSettings

        chosen = self.settings
        steps = chosen.preprocess if chosen.preprocess or self.base is not None else None
        return TeachSettings(
            self.source.layout.channel_axis, steps, chosen.border, chosen.device, chosen.memory_limit
        )  # fmt: skip


def teach_choice(image: ImageBox, model: ModelChoice, settings: SettingsBox) -> TeachChoice:
    """Return a snapshot of what is to be taught on.

    Raises
    ------
    FcnSegError
        If something is missing or does not fit.
    """
    if model.reading:
        raise SettingsError("The model is still being read. Start teaching when it is there.")
    if len(model.models) > 1:
        raise SettingsError("Teaching begins with one model. Choose a single one under Model.")
    if model.models and model.models[0].labels_every_pixel:
        raise SettingsError(
            f"Teaching begins with a patch model, and {model.models[0].name!r} already labels every pixel. Choose a "
            "patch model, or none."
        )
    if model.models:
        names, colors = model.hints.class_names, model.hints.class_colors
        return TeachChoice(image.source(), model.models[0], settings.settings(), names, colors)
    source = image.source() if image.first is None else source_without_model(image.first, image.choice)
    return TeachChoice(source, None, settings.settings())


def source_without_model(layer: Image, choice: AxisChoice) -> ImageLayers:
    """Return an image as it is read where no model says how many channels there are: colours, or an axis named C.

    Raises
    ------
    ImageError
        If it has too few axes.
    """
    letters, shape = letters_of(layer.axis_labels), full_resolution(layer).shape
    channels = min(shape[-1], 3) if layer.rgb else shape[letters.index("C")] if "C" in letters else 1
    source = ImageLayers.of([layer], InputSpec(channels, 2), choice)
    _ = source.layout  # says now what does not fit
    return source
