"""What the user chose for a model, remembered by the model's hash: it is there again wherever the file lies."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.system.cache import recall, remember

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.model.patch_model import PatchModel

_KIND = "model-choices"


@dataclass(frozen=True)
class ModelMemory:
    """What was chosen for a model, or for the members of an ensemble together.

    Attributes
    ----------
    preprocess : str or None
        Steps as text; None where those that came with the model were used.
    accepted : str or None
        Steps that the user found right although they look unusual.
    guessed : str or None
        Steps that were taken because this program proposed them.
    border : str or None
        The border rule.
    class_names, class_colors : tuple of str
        In the model's order; empty where nobody chose any.
    background : int or None
        Label of the class that is background; 0 for none of them.
    """

    preprocess: str | None = None
    accepted: str | None = None
    guessed: str | None = None
    border: str | None = None
    class_names: tuple[str, ...] = ()
    class_colors: tuple[str, ...] = ()
    background: int | None = None


def recall_model(models: Sequence[PatchModel]) -> ModelMemory:
    """Return what was chosen for models; whatever is not of its kind is left out."""
    kept = recall(_KIND, _key(models)) if _key(models) else None
    found: dict[str, Any] = {}
    for field in fields(ModelMemory):
        value = kept.get(field.name) if isinstance(kept, dict) else None
        if field.name.startswith("class_"):
            if isinstance(value, list) and all(isinstance(text, str) for text in value):
                found[field.name] = tuple(value)
        elif type(value) is (int if field.name == "background" else str):
            found[field.name] = value
    return ModelMemory(**found)


def remember_model(models: Sequence[PatchModel], **changes: Any) -> None:
    """Remember more of what was chosen for models, in the words of :class:`ModelMemory`; None forgets."""
    if key := _key(models):
        memory = replace(recall_model(models), **changes)
        kept = {name: value for name, value in vars(memory).items() if value not in (None, ())}
        remember(_KIND, key, kept or None)


def _key(models: Sequence[PatchModel]) -> str:
    """Return what tells models from all others; empty where one has no file."""
    parts = [f"{model.sha256}{':' * bool(model.output)}{model.output}" for model in models]
    return "+".join(parts) if models and all(model.sha256 for model in models) else ""
