"""Steps that prepare a whole image for a model.

A step is written ``name`` or ``name:argument,argument``. Where the bioimage.io specification has a step, its name and
its formula are used. Every step works on each channel alone, in float32, on a frame ``(*spatial, channel)``;
``scale_range@all`` and ``zero_mean_unit_variance@all`` take their statistics over all channels together. Where a fixed
number differs between channels it is written ``1/2/3``, one for each. Statistics are those of the whole frame, never of
a tile; what is done with them is done to what a tile reads, so a frame may be of any size.
"""

from napari_fcnseg.preprocess.frames import Bound, Numbers, bind_elsewhere, bind_known, prepare
from napari_fcnseg.preprocess.text import (
    BYTES,
    JOINT_STEPS,
    PER_CHANNEL_STEPS,
    STEPS,
    WORDS,
    Argument,
    Step,
    checked,
    parameters_of,
    parse,
    usage,
)

__all__ = [
    "BYTES",
    "JOINT_STEPS",
    "PER_CHANNEL_STEPS",
    "STEPS",
    "WORDS",
    "Argument",
    "Bound",
    "Numbers",
    "Step",
    "bind_elsewhere",
    "bind_known",
    "checked",
    "parameters_of",
    "parse",
    "prepare",
    "usage",
]
