"""Settings for instances as widgets; a snapshot is read from them, nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox, QWidget

from napari_fcnseg._napari.widgets.form import QuietCombo, form_of
from napari_fcnseg._napari.widgets.tooltips import tooltip_from
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.settings import COMPONENTS, WATERSHED, InstanceSettings, suggested_classes
from napari_fcnseg.system.cache import recall, remember

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED, _LAST = "dock", "instances"
_MOST_PIXELS = 10_000_000
_MOST_SEPARATION = 1000.0
_METHOD_NAMES = {COMPONENTS: "connected regions", WATERSHED: "watershed"}
_NO_EDGE, _CHOOSE = "none", "choose a class"
_CORNERS = "Pixels that touch at a corner only belong to one object."
_VOLUME = "Objects go on from slice to slice. Otherwise each slice is searched alone."


class InstanceForm(QWidget):
    """Classes, method, sizes, and what belongs together.

    Parameters
    ----------
    labels : QComboBox
        Where to look for them; the first row.
    """

    #: Emitted when something was changed, by the user or because the classes did.
    changed = Signal()

    def __init__(self, labels: QComboBox, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names: Mapping[int, str] = {}
        self.interior = QuietCombo("Interior class", tooltip_from(InstanceSettings, "interior"))
        self.method = QuietCombo("Method", tooltip_from(InstanceSettings, "method").replace('"', ""))
        for method, text in _METHOD_NAMES.items():
            self.method.addItem(text, method)
        self.edge = QuietCombo("Edge class", tooltip_from(InstanceSettings, "edge"))
        self.separation = QDoubleSpinBox()
        self.separation.setRange(0, _MOST_SEPARATION)
        self.separation.setDecimals(1)
        self.separation.setSingleStep(0.5)
        self.minimum_size, self.fill_holes = QSpinBox(), QSpinBox()
        for box, name, lowest in (
            (self.separation, "separation", "automatic"),
            (self.minimum_size, "minimum_size", "none"),
            (self.fill_holes, "fill_holes", "none"),
        ):
            box.setSpecialValueText(lowest)
            box.setSuffix(" pixels")
            box.setToolTip(f"<p>{tooltip_from(InstanceSettings, name)}</p>")
            box.setAccessibleName(name.replace("_", " ").capitalize())
            box.valueChanged.connect(self._emit)
        for box in (self.minimum_size, self.fill_holes):
            box.setRange(0, _MOST_PIXELS)
            box.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
        self.corners = _check("Join diagonal pixels", _CORNERS)
        self.volume = _check("Join the slices (3D)", _VOLUME)
        self._arrange(labels)
        self._restore(recall(_REMEMBERED, _LAST))
        for combo in (self.interior, self.method, self.edge):
            combo.currentIndexChanged.connect(self._emit)
        for check in (self.corners, self.volume):
            check.toggled.connect(self._emit)
        self._show_rows()

    def _arrange(self, labels: QComboBox) -> None:
        self._form = form_of((
            ("Labels", labels), ("Interior", self.interior), ("Method", self.method), ("Edge", self.edge),
            ("Separation", self.separation), ("Minimum size", self.minimum_size), ("Fill holes", self.fill_holes),
        ))  # fmt: skip
        self.setLayout(self._form)
        for widget in (self.corners, self.volume):
            self._form.addRow(widget)

    def settings(self, spatial: int) -> InstanceSettings:
        """Return what the user chose, for instances that extend along some axes.

        Raises
        ------
        SettingsError
            If no interior class was chosen, or it is the edge class too.
        """
        if self.interior.currentData() is None:
            raise SettingsError("No interior class was chosen. Choose the class that the objects are made of.")
        method = self.method.currentData()
        watershed = method == WATERSHED
        return InstanceSettings(
            self.interior.currentData(),
            self.edge.currentData() if watershed else None,
            method,
            self.minimum_size.value(),
            self.fill_holes.value(),
            spatial if self.corners.isChecked() else 1,
            (self.separation.value() or None) if watershed else None,
        )

    def settings_for(self, names: Mapping[int, str], spatial: int) -> InstanceSettings:
        """Return what is chosen, for the classes of a model: where others are shown, its own by their names.

        Raises
        ------
        SettingsError
            If no interior class is known, or it is the edge class too.
        """
        if dict(names) == dict(self.names):
            return self.settings(spatial)
        interior, edge = suggested_classes(names)
        if interior is None:
            raise SettingsError(
                "It is not known which class objects are made of. Name the classes under Model, in ⋯ > Model details."
            )
        separation = self.separation.value() or None
        return InstanceSettings(
            interior, edge, None, self.minimum_size.value(), self.fill_holes.value(),
            spatial if self.corners.isChecked() else 1, separation if edge is not None else None,
        )  # fmt: skip

    def offer_classes(self, names: Mapping[int, str]) -> None:
        """Offer classes by number; where they are the same as before, those that were chosen stay."""
        same, self.names = names == self.names, names
        if same:
            return
        interior, edge = suggested_classes(names)
        for combo, chosen in ((self.interior, interior), (self.edge, edge)):
            with QSignalBlocker(combo):
                combo.clear()
                if combo is self.edge:
                    combo.addItem(_NO_EDGE, None)
                elif chosen is None and names:
                    combo.addItem(_CHOOSE, None)
                for number, name in names.items():
                    combo.addItem(f"{number}: {name}", number)
                combo.setCurrentIndex(max(0, combo.findData(chosen)))
        with QSignalBlocker(self.method):
            self.method.setCurrentIndex(self.method.findData(COMPONENTS if edge is None else WATERSHED))
        self._emit()

    def offer_volume(self, may: bool, is_one: bool) -> None:
        """Offer to join slices where there are some; whether the model did so is what it begins with."""
        self._form.setRowVisible(self.volume, may)
        self.volume.setChecked(may and is_one)

    def keep(self) -> None:
        """Remember what does not depend on the classes, for the next time that napari is started."""
        chosen = (self.minimum_size.value(), self.fill_holes.value(), self.separation.value(), self.corners.isChecked())
        remember(_REMEMBERED, _LAST, list(chosen))

    def _restore(self, chosen: Any) -> None:
        if isinstance(chosen, list) and [type(value) for value in chosen] == [int, int, float, bool]:
            self.minimum_size.setValue(min(max(chosen[0], 0), _MOST_PIXELS))
            self.fill_holes.setValue(min(max(chosen[1], 0), _MOST_PIXELS))
            self.separation.setValue(chosen[2])
            self.corners.setChecked(chosen[3])

    def _emit(self, _: Any = None) -> None:
        self._show_rows()
        self.changed.emit()

    def _show_rows(self) -> None:
        for widget in (self.edge, self.separation):
            self._form.setRowVisible(widget, self.method.currentData() == WATERSHED)


def _check(text: str, tooltip: str) -> QCheckBox:
    check = QCheckBox(text)
    check.setToolTip(f"<p>{tooltip}</p>")
    check.setAccessibleName(text)
    return check
