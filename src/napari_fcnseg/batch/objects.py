"""The objects of each image of a batch, found in its labels and measured; at the end one table for all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.batch.object_tables import ALL, count_rows, joined, stage_rows
from napari_fcnseg.batch.outcome import ResultFiles
from napari_fcnseg.batch.record import record_of
from napari_fcnseg.errors import FcnSegError, ImageError, SettingsError
from napari_fcnseg.imagefile import read_image, stage_image
from napari_fcnseg.imagefile.writing import grown
from napari_fcnseg.instances.measuring import measure_objects
from napari_fcnseg.instances.settings import InstanceSizes
from napari_fcnseg.plan.layout import Layout
from napari_fcnseg.run.find_instances import find_instances
from napari_fcnseg.run.provenance_file import provenance_of_file, publish_with_provenance
from napari_fcnseg.system.saving import grows
from napari_fcnseg.system.saving.texts import ALL_OBJECTS, OBJECTS
from napari_fcnseg.system.serialization import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.batch.options import ImageOptions
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Inputs


@dataclass(frozen=True)
class FoundObjects:
    """What there is in an image.

    Attributes
    ----------
    count : int
        Objects.
    said : str
        That, in words.
    new : bool
        Whether they were found just now, and not by an earlier batch.
    """

    count: int
    said: str
    new: bool


@dataclass(frozen=True)
class ObjectSearch:
    """What to look for in all images of a batch.

    Attributes
    ----------
    settings : InstanceSettings
        The objects.
    volume : bool
        Whether they extend along the last three axes; so they do, too, where the model's patches do.
    """

    settings: InstanceSettings
    volume: bool = False

    def finder(
        self, models: Sequence[PatchModel], settings: RunSettings, out_dir: Path, options: ImageOptions, inputs: Inputs
    ) -> BatchObjects:
        """Return what finds them.

        Parameters
        ----------
        models, settings
            That give the labels.
        out_dir : Path
            For the table of all images.
        options, inputs
            As for :class:`napari_fcnseg.batch.one_image.ImageWork`.

        Raises
        ------
        FcnSegError
            If the settings do not fit the models, or a table of something else is there.
        """
        record = record_of(models, settings, options.for_record())
        files = {"inputs": inputs, "overwrite": options.overwrite, "advice": options.advice}
        return BatchObjects(
            self.settings, models, settings.channel_axis, out_dir, record, volume=self.volume, **files
        )  # fmt: skip


class BatchObjects:
    """Finds objects for a batch.

    Parameters
    ----------
    settings : InstanceSettings
        What to look for.
    models : sequence of PatchModel
        That gave the labels.
    channel_axis : int or None
        Of the images, where the user says it.
    out_dir : Path
        For the table of all images.
    record : mapping
        What all images depend on, as plain data; empty if that cannot be said.
    volume : bool
        Whether objects extend along the last three axes; so they do, too, where the model's patches do.
    **files
        As for :class:`ResultFiles`.

    Raises
    ------
    FcnSegError
        If the settings do not fit the models, or a table of something else is there.
    """

    def __init__(
        self, settings: InstanceSettings, models: Sequence[PatchModel], channel_axis: int | None, out_dir: Path,
        record: Mapping[str, Any], *, volume: bool = False, **files: Any,
    ) -> None:  # fmt: skip
        model = models[0]
        self.spatial = 3 if volume or len(model.patch_shape) == 3 else 2
        if (wrong := max(*settings.classes, settings.edge or 0)) > model.classes:
            raise SettingsError(f"There is no class {wrong} for the objects: the model has {model.classes} classes.")
        if settings.connectivity > self.spatial:
            raise SettingsError(f"The connectivity of objects is at most {self.spatial}, not {settings.connectivity}.")
        self._settings, self._model, self._channel_axis = settings, model, channel_axis
        self._files = files
        self._tables: dict[Path, str] = {}  # of the images that came to their end: their names
        self._all = ResultFiles({"objects": out_dir / ALL}, self._record(record), **files)
        self._all.check()
        ALL_OBJECTS.check(self._all.first)

    def find(
        self, name: str, own: Mapping[str, Path], labels: Path, record: Mapping[str, Any],
        read: Callable[[], ImageFile], stop: Callable[[], bool],
    ) -> FoundObjects:  # fmt: skip
        """Find the objects in the labels of an image and measure them, unless that was done.

        Parameters
        ----------
        name : str
            Of the image, in the table.
        own : mapping of str to Path
            Where its ``objects`` and their ``table`` are written.
        labels : Path
            Its labels.
        record : mapping
            What they depend on.
        read : callable
            Returns the image.
        stop : callable
            Asked again and again whether to give up.

        Raises
        ------
        FcnSegError
            If they cannot be found, or their files not be written.
        StoppedError
            If it was to give up.
        """
        outcome = ResultFiles(own, self._record(record), **self._files)
        if not self._files.get("overwrite") and outcome.was_done(verified=False):
            count = count_rows(own["table"])
            found = FoundObjects(count, f"{count:,} object{'' if count == 1 else 's'}.", new=False)
        else:
            found = self._find(outcome, own, labels, read, stop)
        self.take(name, own)
        return found

    def take(self, name: str, own: Mapping[str, Path]) -> None:
        """Have the objects of an image in the table of all that were found elsewhere."""
        self._tables[own["table"]] = name

    def finish(self) -> Path | None:
        """Write the table of all images; return where. None if no image has come to its end."""
        if not self._tables:
            return None
        path, tables = self._all.first, [(name, table) for table, name in self._tables.items()]
        with self._all.claim() as plan:
            ALL_OBJECTS.check(path)
            publish_with_provenance(plan, {path: stage_rows(path, joined(tables))}, self._all.provenance({}))
        return path

    def _find(
        self, outcome: ResultFiles, own: Mapping[str, Path], labels: Path, read: Callable[[], ImageFile],
        stop: Callable[[], bool],
    ) -> FoundObjects:  # fmt: skip
        with outcome.claim() as plan:
            OBJECTS.check(own["table"])
            file = read_image([labels], indices=True)
            if file.data.ndim < self.spatial:
                raise ImageError(f"The labels have {file.data.ndim} axes, and objects in a volume have three.")
            lengths = [file.pixel_size.get(letter) for letter in file.axes[-self.spatial :]]
            spacing = [length for length in lengths if length] if all(lengths) else None
            found = find_instances(file.data, self._settings, spatial=self.spatial, spacing=spacing, stop=stop)
            unit = file.unit if spacing is not None else ""
            image = read()
            bright = self._brightness(image, tuple(found.shape))
            table = measure_objects(
                found, spatial=self.spatial, spacing=spacing if unit else None, unit=unit, image=bright
            )
            shown, path = file.labelled(found), own["objects"]
            shown = replace(shown, zarr_format=image.zarr_format, labels_of=image.labels_of)
            kept = grown(path, shown, overwrite=True) if grows(path) else stage_image(path, shown)
            how = {"settings": self._settings.as_dict(), "spatial": self.spatial, "labels": labels.name}
            provenance = outcome.provenance({**provenance_of_file(labels), "instances": how})
            rows = stage_rows(own["table"], table.written_rows())
            publish_with_provenance(plan, {path: kept, own["table"]: rows}, provenance)
        pixel = math.prod(spacing) if spacing is not None and unit else None
        sizes = InstanceSizes.of(found, pixel, f"{unit}{' ²³'[self.spatial - 1].strip()}" if unit else "")
        return FoundObjects(len(table), f"{sizes}.", new=True)

    def _brightness(self, image: ImageFile, shape: tuple[int, ...]) -> Any:
        """Return an image with its channels last; None where the labels are not on its pixels."""
        axis = self._channel_axis if self._channel_axis is not None else image.channel_axis
        pixels = tuple(image.data.shape)
        try:
            layout = Layout.of(pixels, self._model.channels, len(self._model.patch_shape), axis)
        except FcnSegError:
            return None
        channel = layout.channel_axis
        if tuple(n for i, n in enumerate(pixels) if i != channel) != shape:
            return None
        data = np.asarray(image.data)
        return data[..., None] if channel is None else np.moveaxis(data, channel, -1)

    def _record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        mine = {"settings": self._settings.as_dict(), "spatial": self.spatial}
        return {**record, "objects": to_plain(mine)} if record else {}
