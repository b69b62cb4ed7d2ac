"""The tour as steps: what a person clicks, what is waited for, and the sentence below the picture.

``tour.py`` takes the pictures at these steps, and a test goes through them to see whether the dock still says what the
pictures show.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QAbstractButton, QApplication
from tour_compare import COMPARE_STEPS
from tour_stage import Stage, popup
from tour_step import Step

#: Pixels, so few that there are many tiles and one sees them come.
TILE = 16


def _start(stage: Stage) -> None:
    stage.open_dock()


def _from_menu(stage: Stage, button: QAbstractButton, entry: str) -> None:
    """Open the menu of a button, and click on one of its entries."""
    stage.open_menu(button)
    stage.pick(entry)


def _take_sample(stage: Stage) -> None:
    stage.click(next(w for w in stage.dock.model.tries.findChildren(QAbstractButton) if w.text() == "cells"))
    stage.wait(lambda: stage.dock.models, "the model")
    stage.wait(lambda: "uint16" in stage.dock.image.facts.text(), "what is in the image")
    stage.wait(lambda: "About" in stage.dock.run.plan.text(), "how long it will take")
    stage.viewer.reset_view()
    stage.top(stage.dock.image)


def _open_axis(stage: Stage) -> None:
    stage.click(stage.dock.image.strip.buttons[1])
    stage.wait(popup, "the menu")


def _close_menu(stage: Stage) -> None:
    menu = popup()
    if menu is not None:
        menu.close()


def _close_dialog(stage: Stage) -> None:
    stage.dialog().close()


def _open_report(stage: Stage) -> None:
    _from_menu(stage, stage.dock.model.more, "Report")


def _open_names(stage: Stage) -> None:
    _from_menu(stage, stage.dock.model.more, "Model details")


def _run(stage: Stage) -> None:
    _run_once(stage)
    dock = stage.dock
    heading = next(w for w in dock.findChildren(QAbstractButton) if w.text() == "Advanced")
    stage.click(heading)
    stage.write(dock.settings.tile, str(TILE))
    stage.click(heading)
    stage.top(dock.image)
    stage.wait(lambda: f"{TILE} × {TILE}" in dock.run.plan.toolTip(), "what it takes with these tiles")
    stage.click(dock.run.run)
    bar = dock.run.bar
    stage.wait(lambda: bar.maximum() > 1 and bar.value() > bar.maximum() / 5, "the first tiles")
    stage.wait(lambda: any(_is_result(layer) for layer in stage.viewer.layers), "the labels")
    stage.top(dock.image)  # meanwhile the dock offers the new layer, and the window draws it


def _run_once(stage: Stage) -> None:
    """Have napari make its first labels, for which it imports and compiles: so small an image is done meanwhile."""
    looking, stage.look = stage.look, lambda: None
    stage.click(stage.dock.run.run)
    stage.says("Done:")
    _from_menu(stage, stage.dock.result.more, "Remove")
    stage.dock.run.say("")
    stage.look = looking


def _stop_and_go_on(stage: Stage) -> None:
    stage.click(stage.dock.run.cancel)
    stage.says("Stopped:")
    stage.click(stage.dock.run.resume)
    stage.says("Done:")
    stage.top(stage.dock.image)
    stage.point(0.6, 0.3)


def _verify(stage: Stage) -> None:
    stage.click(stage.dock.run.verify)
    stage.says("Conversion check passed")
    _from_menu(stage, stage.dock.result.more, "Copy as Python")
    stage.wait(lambda: "segment(" in QApplication.clipboard().text(), "the script")
    stage.wait(stage.dock.result.message.text, "what is said of the script")
    stage.top(stage.dock.image)


def _find_instances(stage: Stage) -> None:
    box = stage.dock.instances
    stage.click(next(w for w in stage.dock.findChildren(QAbstractButton) if w.text() == "Objects"))
    stage.click(box.button)
    stage.wait(lambda: not box.busy and stage.viewer.layers[-1].name.endswith("objects"), "the objects")
    stage.top(stage.dock.result)


def _is_result(layer: Any) -> bool:
    return "·" in layer.name


def _follow(stage: Stage) -> None:
    dock, viewer = stage.dock, stage.viewer
    for layer in viewer.layers:
        layer.visible = not _is_result(layer)
    camera = getattr(viewer, "scene", viewer).camera  # it moved there in napari 0.9
    whole, (*before, y, x) = camera.zoom, camera.center
    camera.zoom, camera.center = whole * 3, (*before, y * 0.6, x * 1.3)
    count = len(viewer.layers)
    stage.click(dock.where.follow)
    stage.wait(lambda: len(viewer.layers) > count, "what the view shows")
    stage.rest()
    layer = viewer.layers[-1]
    done = (layer.data > 0).sum()
    camera.center = (*before, y * 1.4, x * 0.6)
    stage.wait(lambda: (layer.data > 0).sum() > done, "what the view shows now")
    stage.rest()
    stage.click(dock.where.follow)
    camera.zoom, camera.center = whole, (*before, y, x)
    stage.says("Following the view")
    stage.top(dock.image)


STEPS = (
    Step(
        "start",
        "Open the dock",
        "Open *Layers ▸ Segment ▸ Dense segmentation*. The dock says what comes next: open an image and choose your "
        "trained model (**File…**, **Folder…**, or drop it here). To try it without either, press one of the "
        "samples.",
        _start,
    ),
    Step(
        "ready",
        "Image and model",
        "The dock says what it understood. The image: a layer for each channel of the model, its axes, numbers and "
        "pixel size. The model: its patch, its classes in their colours. And, before you press Run: tiles, memory, "
        "time, device.",
        _take_sample,
    ),
    Step(
        "axes",
        "What each axis is",
        "If an axis was taken for something else than it is, click it and choose.",
        _open_axis,
        part=lambda stage: stage.dock.image,
        leave=_close_menu,
        film=False,
    ),
    Step(
        "report",
        "The model's report",
        "**Report…** shows what became of each layer. If a model is refused, it shows which layer is the reason, and "
        "what to do.",
        _open_report,
        part=Stage.dialog,
        leave=_close_dialog,
        film=False,
    ),
    Step(
        "names",
        "Model details",
        "**Model details…** names classes and channels, and keeps how the images were prepared, in a small file "
        "beside the model.",
        _open_names,
        part=Stage.dialog,
        leave=_close_dialog,
        film=False,
    ),
    Step(
        "running",
        "Run",
        "Press **Run**. The labels appear while they are computed, nearest to what you look at first. (The tiles are "
        "small here (*Tile* under **Advanced**), so that you see them come. Leave them automatic: that is faster.)",
        _run,
    ),
    Step(
        "result",
        "Cancel, Resume, and the result",
        "**Cancel** keeps what is done, and **Resume** goes on. The result is the same as if you had never stopped. "
        "The status bar names the class under the mouse.",
        _stop_and_go_on,
    ),
    Step(
        "verified",
        "Verify, and take it along",
        "**Verify** asks your model itself, patch by patch, about 256 pixels, and says how far the fast answer is "
        "from it. **Certificate…** is the proof. **Copy as Python** copied a script that gives the same result bit "
        "for bit.",
        _verify,
    ),
    Step(
        "objects",
        "Single cells",
        "**Find objects** makes single cells of the interior class, with the edge class between them. Change the "
        "settings and look: the network does not run again.",
        _find_instances,
    ),
    Step(
        "follow",
        "Follow the view",
        "With **Follow the view** on, what you look at is segmented, wherever you pan and zoom, and what was seen "
        "stays. Two places were looked at here.",
        _follow,
        film=False,
    ),
    *COMPARE_STEPS,
)
