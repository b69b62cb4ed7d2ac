"""What results of a batch depend on: by that it is known what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg.system.serialization import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.batch.item import BatchItem
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings

_NO_MATTER = ("tile", "memory_limit")  # settings that change the time alone, never a number


def record_of(
    models: Sequence[PatchModel], settings: RunSettings, chosen: Mapping[str, Any], item: BatchItem | None = None
) -> dict[str, Any]:
    """Return what a result depends on, as plain data; empty where nobody could tell whether that has changed.

    Parameters
    ----------
    models : sequence of PatchModel
        The ensemble.
    settings : RunSettings
        For every image.
    chosen : mapping
        What was chosen beside the settings, by its name.
    item : BatchItem, optional
        The image; None for what all results depend on.
    """
    record: dict[str, Any] = {}
    if item is not None:
        try:
            identity = item.identity()
        except OSError:  # it cannot be read either, which is said then
            identity = None
        if identity is None:
            return {}
        record["input"] = identity
    if not all(model.sha256 for model in models):
        return {}
    kept = {name: value for name, value in settings.as_dict().items() if name not in _NO_MATTER}
    of = [{"sha256": model.sha256, "output": model.output} for model in models]
    plain: dict[str, Any] = to_plain({**record, "models": of, "settings": kept, **chosen})
    return plain
