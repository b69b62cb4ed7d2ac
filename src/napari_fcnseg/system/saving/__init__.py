"""Everything that is written to a disk: never over an input, whole or not at all, and by one process at a time."""

from napari_fcnseg.system.saving.inputs import Inputs, arrays_behind, files_behind, same_array
from napari_fcnseg.system.saving.names import same_file
from napari_fcnseg.system.saving.plan import COMMAND, PYTHON, Plan
from napari_fcnseg.system.saving.recovery import sweep
from napari_fcnseg.system.saving.stores import ZARR, grows, is_zarr
from napari_fcnseg.system.saving.swap import swap_in
from napari_fcnseg.system.saving.whole import Staged, put, save_text, save_whole, stage

__all__ = [
    "COMMAND", "PYTHON", "ZARR", "Inputs", "Plan", "Staged", "arrays_behind", "files_behind", "grows", "is_zarr",
    "put", "same_array", "same_file", "save_text", "save_whole", "stage", "swap_in", "sweep",
]  # fmt: skip
