"""Help on the preprocessing steps, from their docstrings."""

from __future__ import annotations

from napari_fcnseg import preprocess

_EXAMPLE = "divide_by_median, subtract_local_mean:61"


def step_help() -> str:
    """Return the steps and how they are written, as rich text."""
    steps = "".join(
        f"<li><b>{preprocess.usage(name)}</b>: {(step.__doc__ or '').splitlines()[0].replace('``', '')}</li>"
        for name, step in preprocess.STEPS.items()
    )
    when = f"Steps applied to each whole frame, in order, as the model was trained: <i>{_EXAMPLE}</i>."
    return f"<p>{when}</p><ul>{steps}</ul>"
