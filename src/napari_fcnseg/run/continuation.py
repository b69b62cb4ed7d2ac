"""Whether a run that writes to disk goes on with what an earlier one has left, by that one's ledger."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.engine import engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.run.ledger import Ledger, facts_of
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.system.saving import grows
from napari_fcnseg.system.saving.names import growing_at, stand_in
from napari_fcnseg.system.saving.stores import marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_fcnseg.engine import Device
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True)
class Continuation:
    """What a run is, and what it takes over from an earlier one.

    Attributes
    ----------
    plan : RunPlan
        The plan.
    ledger : Ledger or None
        Where finished tiles are noted; None where not everything goes to disk, or there is only one.
    goes_on : bool
        Whether the ledger's file is that of this very run, begun earlier.
    note : str
        Why what is there is not gone on with, as a sentence; empty otherwise.
    devices : tuple of Device
        Where it is computed; empty without a ledger.
    stand_ins : mapping of str to Path
        The Zarr folders that stand for results which are not written tile by tile, by the names of their kinds.
    """

    plan: RunPlan
    ledger: Ledger | None = None
    goes_on: bool = False
    note: str = ""
    devices: tuple[Device, ...] = ()
    stand_ins: Mapping[str, Path] = field(default_factory=dict)

    @property
    def opening(self) -> dict[str, bool]:
        """How :class:`napari_fcnseg.imagefile.GrowingZarr` treats what an earlier run left."""
        return {"go_on": self.goes_on, "anew": bool(self.note)}

    def opening_of(self, name: str) -> dict[str, bool]:
        """Return the same for one result: where a stand-in holds its tiles, what was left of itself is empty."""
        return {"anew": self.goes_on or bool(self.note)} if name in self.stand_ins else self.opening


@dataclass(frozen=True)
class Machine:
    """What computes a run: what its numbers depend on, to the last bit, beside the image, the models and the settings.

    Attributes
    ----------
    devices : tuple of Device
        The devices.
    versions : mapping of str to str
        Of the libraries there; empty for those here.
    """

    devices: tuple[Device, ...]
    versions: Mapping[str, str] = field(default_factory=dict)


def continue_run(
    make: Callable[[RunSettings], RunPlan],
    settings: RunSettings,
    outputs: Mapping[str, Path],
    identity: Callable[[], Mapping[str, Any] | None],
    machine: Callable[[Mapping[str, Any]], Machine] | None = None,
    scaling: Rescaling | None = None,
) -> Continuation:
    """Plan a run, and find out whether it was begun already.

    A tile that is chosen by memory, and ways of computing that nobody named, are the earlier run's: with others the
    last bits would differ.

    Parameters
    ----------
    make : callable
        Makes a plan of settings.
    settings : RunSettings
        What the user chose.
    outputs : mapping of str to Path
        The results by their kinds, as far as they are files.
    identity : callable
        Returns what tells the image from any other (:func:`napari_fcnseg.imagefile.identity.identity_of`).
    machine : callable, optional
        Returns what computes it, given the facts of the earlier run, if there is one; the engine here otherwise.
    scaling : Rescaling, optional
        How the image was rescaled for the run.

    Raises
    ------
    FcnSegError
        If the run is not possible.
    """
    plan, places = make(settings), growing_places(outputs, scaled=scaling is not None)
    stand_ins = {name: path for name, path in places.items() if path != outputs[name]}
    on_disk = all(kind.name in places for kind in kept_outputs(plan.settings))
    needed = machine is not None and on_disk  # others write the tiles, and not into what is on other pixels
    if not on_disk or (stand_ins and plan.schedule.total < 2 and not needed) or (image := identity()) is None:
        return Continuation(plan, stand_ins=stand_ins if needed else {})
    if scaling is not None:
        image = {**image, "rescale": list(scaling.factors)}
    part, earlier = growing_at(places["labels"]), left_behind(places)
    computed = machine(earlier) if machine is not None else _here(settings)
    devices, versions = computed.devices, computed.versions or None
    ledger = Ledger(part, plan, facts_of(plan, devices, image, versions))
    if not earlier:
        return Continuation(plan, ledger, devices=devices, stand_ins=stand_ins)
    if ledger.difference(earlier) and (chosen := as_earlier(plan, settings, earlier)) != settings:
        with suppress(SettingsError):  # ways that this version does not know
            like = make(chosen)
            same = Ledger(part, like, facts_of(like, devices, image, versions))
            if not same.difference(earlier):
                plan, ledger = like, same
    if different := ledger.difference(earlier):
        note = f"{part} was {different}. It is begun anew."
        return Continuation(plan, ledger, note=note, devices=devices, stand_ins=stand_ins)
    return Continuation(plan, ledger, goes_on=True, devices=devices, stand_ins=stand_ins)


def as_earlier(plan: RunPlan, settings: RunSettings, earlier: Mapping[str, Any]) -> RunSettings:
    """Return settings with the tile and the ways of an earlier run, where the user left them open.

    Parameters
    ----------
    plan : RunPlan
        Of the settings.
    settings : RunSettings
        What the user chose.
    earlier : mapping
        Facts of the earlier run (:func:`left_behind`); empty for none.
    """
    tile, ways = tuple(earlier.get("tile", ())), tuple(earlier.get("ways", ()))
    if settings.tile is None and tile != plan.tile and len(tile) == len(plan.tile):
        settings = replace(settings, tile=tuple(n * settings.every for n in tile))
    if settings.ways is None and ways != plan.ways and len(ways) == len(plan.ways):
        settings = replace(settings, ways=ways)
    return settings


def _here(settings: RunSettings) -> Machine:
    return Machine(engine().devices_for(settings.device, settings.precision))


def growing_places(outputs: Mapping[str, Path], *, scaled: bool = False) -> dict[str, Path]:
    """Return the Zarr folders that the results of a run grow in, by their kinds.

    Parameters
    ----------
    outputs : mapping of str to Path
        The results by their kinds.
    scaled : bool
        Whether the run is on a rescaled image, whose tiles have other pixels than the results.
    """
    return {name: path if grows(path) and not scaled else stand_in(path) for name, path in outputs.items()}


def left_behind(places: Mapping[str, Path]) -> dict[str, Any]:
    """Return the facts of a run that was stopped, of which every array is still there; empty otherwise.

    Parameters
    ----------
    places : mapping of str to Path
        Where its results grow, by their kinds (:func:`growing_places`).
    """
    if "labels" not in places or not all(map(grows, places.values())):
        return {}
    found = Ledger.of(growing_at(places["labels"]))
    marks = {name: marked(growing_at(path)).get("written") for name, path in places.items()}
    return found if found and found["marks"] == marks else {}


def gone_on_with(outputs: Mapping[str, Path]) -> tuple[Path, ...]:
    """Return the names of what an earlier run has left that a run may take over, or begin anew without being told."""
    free: list[Path] = []
    for scaled in (False, True):
        places = growing_places(outputs, scaled=scaled)
        if left_behind(places):
            free += map(growing_at, (*places.values(), *outputs.values()))
    return tuple(dict.fromkeys(free))
