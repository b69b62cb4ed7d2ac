"""What of a model's preprocessing another program does by itself, and what is done to the image before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.preprocess import JOINT_STEPS, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fcnseg.preprocess import Step

#: Steps that the specification does not have.
OURS: Final = ("divide_by_median", "subtract_local_mean")
#: The reference program, bioimageio.core, takes this one whatever a package says.
_ONLY_EPS: Final = 1e-6
#: The same in NumPy and SciPy, for the README: ``image`` is ``(*spatial, channel)``, ``spatial`` its first axes.
RECIPES: Final = {
    "divide_by_median": "image = image / np.median(image, axis=spatial)",
    "subtract_local_mean": "image = image - uniform_filter(image, {0}, mode='reflect', axes=spatial)",
}


def split(steps: Iterable[str]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps that are done before another program gets the image, and those that it does.

    Those are the last ones, as long as the specification has them. Statistics are those of the image that the program
    is given (bioimageio.core takes them all before the first step), so that a step with statistics begins them.
    """
    all_steps = parse(steps)
    first = len(all_steps)
    while first and _is_known(all_steps[first - 1]):
        first -= 1
        if all_steps[first].name in JOINT_STEPS:
            break
    return all_steps[:first], all_steps[first:]


def _is_known(step: Step) -> bool:
    if step.name == "zero_mean_unit_variance":
        return not step.arguments or step.arguments[0] == _ONLY_EPS
    return step.name not in OURS


def recipe(steps: Iterable[Step]) -> str:
    """Return steps of ours as lines of Python, empty where there are none or others among them."""
    lines = [RECIPES[step.name].format(*map(str, map(_whole, step.arguments))) for step in steps if step.name in OURS]
    return "\n".join(lines) if len(lines) == len(tuple(steps)) else ""


def _whole(argument: object) -> object:
    return int(argument) if isinstance(argument, float) and argument.is_integer() else argument
