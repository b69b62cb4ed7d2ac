"""The demo: segment a sample image with its model, in napari if there is a display."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.model.sidecar import sidecar_path
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.proof.verification import Verification, VerificationSampler
from napari_fcnseg.run.result import ResultArrays, execute_into
from napari_fcnseg.run.run import Run
from napari_fcnseg.samples import SAMPLES, Sample
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.saving import COMMAND, Inputs, Plan, stage
from napari_fcnseg.system.saving.reasons import reason, remedy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Set where the display is invisible: the window closes when its pictures are taken.
UNATTENDED = "NAPARI_FCNSEG_HEADLESS"
PICTURE, SUMMARY, WINDOW = FILES = ("segmentation.png", "summary.txt", "window.png")
_FIRST = "Sample           "


def show(name: str, folder: Path, *, window: bool = True, overwrite: bool = False) -> int:
    """Segment a sample, show it in napari if there is a display, and leave pictures and a summary in a folder.

    Parameters
    ----------
    name : str
        Of the sample.
    folder : Path
        Gets ``segmentation.png``, ``summary.txt`` and, where a window was opened, ``window.png``.
    window : bool
        Whether to open napari.
    overwrite : bool
        Whether files of these names are replaced, whatever they are. Those of an earlier demo always are: the same
        command makes them again.

    Returns
    -------
    int
        Exit code: 0 if the result is verified.

    Raises
    ------
    SettingsError
        If there is no such sample.
    OutputError
        If the folder cannot be written.
    """
    if name not in SAMPLES:
        raise SettingsError(f"There is no sample {name!r}. Choose one of: {', '.join(SAMPLES)}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = _is_demo(folder)
        if not (overwrite or earlier):
            _plan(folder, SAMPLES[name], overwrite=False).check_free()
        if earlier:
            (folder / WINDOW).unlink(missing_ok=True)  # it shows another sample, where no window is opened now
        if window and _can_open_window():
            # A process of its own: this one stays free of Qt.
            return subprocess.call([sys.executable, "-m", "napari_fcnseg._napari.segment.demo", name, str(folder)])
        return _without_window(SAMPLES[name], folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {reason(error)}. {remedy(error, 'Choose another --output folder.')}"
        ) from None


def save_picture(folder: Path, name: str, sample: Sample, write: Callable[[Path], object]) -> Path:
    """Write one of the files of the demo, in a folder that was found to be free; return where."""
    plan = _plan(folder, sample, overwrite=True)
    with plan.claim():
        stage(folder / name, write).publish(overwrite=True, inputs=plan.inputs)
    return folder / name


def _plan(folder: Path, sample: Sample, *, overwrite: bool) -> Plan:
    files = tuple(folder / name for name in FILES)
    return Plan(
        files, Inputs([sample.model_path, sidecar_path(sample.model_path)]), overwrite=overwrite, advice=COMMAND
    )


def _is_demo(folder: Path) -> bool:
    """Whether a folder has the files of an earlier demo, of whichever sample."""
    try:
        with (folder / SUMMARY).open(encoding="utf-8", errors="replace") as file:
            return file.readline().startswith(tuple(f"{_FIRST}{sample.title}," for sample in SAMPLES.values()))
    except OSError:
        return False


def _can_open_window() -> bool:
    if importlib.util.find_spec("napari") is None or importlib.util.find_spec("qtpy") is None:
        print("napari is not installed here: pictures only. `pip install napari-fcnseg[all]` brings it.")
        return False
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        print("There is no display: pictures only.")
        return False
    return True


def _without_window(sample: Sample, folder: Path) -> int:
    image = sample.image()
    settings = RunSettings(channel_axis=sample.channel_axis, preprocess=sample.preprocess)
    start = time.perf_counter()
    run = Run(make_plan(image, (load_model(sample.model_path),), settings))
    sampler = VerificationSampler(run)
    sampler.expect()
    arrays = ResultArrays(run)
    execute_into(run, arrays.write, sampler.see)
    seconds = time.perf_counter() - start
    return leave_results(folder, sample, image, arrays.labels, run, sampler.verify(), seconds)


def leave_results(
    folder: Path,
    sample: Sample,
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    run: Run,
    verification: Verification,
    seconds: float,
) -> int:
    """Write ``segmentation.png`` and ``summary.txt``, print the summary, and return the exit code.

    Parameters
    ----------
    folder : Path
        Where to.
    sample, image, labels, run, verification
        What was segmented, the result, how, and how it was verified.
    seconds : float
        From the start of the run to the last tile, the start of the computing process included.
    """
    import imageio.v3 as iio

    picture, computing = folder / PICTURE, run.spent.computing
    report = run.plan.models[0].fcn.report
    truth = sample.truth() if sample.truth is not None else None
    agreement = f"Ground truth     {(labels == truth).mean():.1%} of the pixels agree\n" if truth is not None else ""
    summary = (
        f"{_FIRST}{sample.title}, {format_shape(image.shape)} {image.dtype}\n"
        f"Model            {sample.model_path.name}: {sample.learned_from}\n"
        f"Network          {report.summary()}\n"
        f"Device           {run.device}\n"
        f"Time             {computing:.2f} s for {labels.size:,} pixels ({labels.size / computing / 1e3:.0f} kpx/s), "
        f"{seconds:.1f} s with the start of the computing process\n"
        f"Verification     {verification}\n"
        f"{agreement}"
        f"Picture          {picture} (image, labels, overlay)\n"
    )
    # The summary first: by it the pictures are known as those of a demo.
    save_picture(folder, SUMMARY, sample, lambda part: part.write_text(summary, encoding="utf-8"))
    shown = side_by_side(image, labels, sample)
    save_picture(folder, PICTURE, sample, lambda part: iio.imwrite(part, shown))
    print(summary, end="")
    return 0 if verification.passed else 3


def side_by_side(image: npt.NDArray[Any], labels: npt.NDArray[Any], sample: Sample) -> npt.NDArray[np.uint8]:
    """Return image, labels and overlay next to each other as RGB."""
    colors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in ("#000000", *sample.class_colors)])
    shown = _as_rgb(image)
    painted = colors[labels].astype(np.uint8)
    edges = labels != np.roll(labels, 1, 0)
    edges |= labels != np.roll(labels, 1, 1)
    overlay = shown.copy()
    overlay[edges] = painted[edges]
    gap = np.full((shown.shape[0], 8, 3), 255, np.uint8)
    return np.concatenate([shown, gap, painted, gap, overlay], axis=1)


def _as_rgb(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return image.copy()
    low, high = np.percentile(image, (1, 99.8), axis=(0, 1))
    scaled = np.clip((image - low) / (high - low), 0, 1) * 255
    shown = np.zeros((*image.shape[:2], 3), np.uint8)
    # One channel per colour: the first blue, the second green.
    for channel, color in zip(range(min(image.shape[-1], 3)), (2, 1, 0), strict=False):
        shown[..., color] = scaled[..., channel]
    return shown
