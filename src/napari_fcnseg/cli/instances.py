"""``napari-fcnseg instances``: single objects among the labels that ``segment`` has written."""

from __future__ import annotations

import math
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.cli.arguments import CLUSTER
from napari_fcnseg.cli.into_image import into_images
from napari_fcnseg.cli.progress import blocks_bar
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.instances.settings import METHODS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.run.cluster.instance_team import SearchTeam
    from napari_fcnseg.system.saving import Plan


def add_arguments(instances: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = instances.add_argument
    add("labels", metavar="LABELS", help="as segment writes them: class 1, 2, …, and 0 for not labelled")
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=".tif, .zarr, .png, .npy, or IMAGE.zarr/labels/NAME",
    )
    made_of = "class that the instances are made of: its name, or its number"
    add("--interior", nargs="+", required=True, metavar="CLASS", help=made_of)
    add("--method", metavar="NAME", help=f"{' or '.join(METHODS)} (watershed if there is an edge class)")
    add_search_arguments(instances)
    add("--table", type=Path, metavar="FILE", help="measure the instances into this .csv")
    add("--outlines", type=Path, metavar="FILE", help="write outlines for ImageJ (.zip) or QuPath (.geojson)")
    add("--image", nargs="+", default=[], metavar="FILE", help="whose brightness the table has too; or one a channel")
    add("--overwrite", action="store_true", help="replace earlier results; never the labels")
    add("--cluster", metavar="ADDRESS", help=CLUSTER)
    add("--quiet", action="store_true", help="no summary")
    instances.set_defaults(run=into_images(run_instances))


def add_search_arguments(command: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add what ``segment`` has for the objects of a folder of images, too."""
    add = command.add_argument
    add("--edge", metavar="CLASS", help="class between instances that touch, for the watershed: name or number")
    add("--minimum-size", type=int, default=0, metavar="PIXELS", help="leave smaller instances out (0)")
    add("--fill-holes", type=int, default=0, metavar="PIXELS", help="fill holes up to this size (0)")
    add("--connectivity", type=int, default=1, metavar="N", help="1: sides touch; 2: corners too; 3: in a volume (1)")
    add("--separation", type=float, metavar="PIXELS", help="cut at necks of a half width smaller by this")
    add("--volume", action="store_true", help="instances go through the last three axes, not only through two")


def search_settings(
    chosen: argparse.Namespace, interior: Sequence[str], names: Sequence[str], method: str | None = None
) -> InstanceSettings:
    """Return what to look for, with ``names`` of the classes, class 1 first."""
    from napari_fcnseg.instances.settings import InstanceSettings

    return InstanceSettings.named(
        interior, names, chosen.edge, method=method, minimum_size=chosen.minimum_size, fill_holes=chosen.fill_holes,
        connectivity=chosen.connectivity, separation=chosen.separation,
    )  # fmt: skip


def _check_cluster(chosen: argparse.Namespace) -> None:
    """Find out whether the options fit a cluster, before it is asked."""
    from napari_fcnseg.run.cluster.address import check_address
    from napari_fcnseg.run.cluster.instance_team import check_for_cluster

    check_address(chosen.cluster)
    check_for_cluster(chosen.output)


def _names_of(labels: Path) -> tuple[str, ...]:
    """Return what the classes of labels are called, as their provenance says; nothing where it does not."""
    from napari_fcnseg.run.provenance_file import provenance_of_file

    names = provenance_of_file(labels).get("classes")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def run_instances(chosen: argparse.Namespace) -> int:
    """Find the instances, write them, and say how many there are."""
    from napari_fcnseg.imagefile import check_ending
    from napari_fcnseg.instances.outlines import ENDINGS
    from napari_fcnseg.run.provenance_file import check_provenance, provenance_path
    from napari_fcnseg.system.saving import COMMAND, ZARR, Inputs, Plan

    settings = search_settings(chosen, chosen.interior, _names_of(Path(chosen.labels)), chosen.method)
    check_ending(chosen.output)
    if chosen.cluster is not None:
        _check_cluster(chosen)
    inputs = Inputs([chosen.labels, provenance_path(Path(chosen.labels)), *chosen.image])
    measured = [path for path in (chosen.table, chosen.outlines) if path is not None]
    for path, endings in ((chosen.table, (".csv",)), (chosen.outlines, ENDINGS)):
        if path is not None and path.suffix.lower() not in endings:
            raise SettingsError(f"{path} has to end with {' or '.join(endings)}.")
    Plan(tuple(measured), inputs, overwrite=chosen.overwrite, advice=COMMAND).check_names()
    grows = chosen.output.suffix.lower() == ZARR
    plan = Plan(
        (chosen.output,), inputs, (provenance_path(chosen.output),), stoppable=grows, overwrite=chosen.overwrite,
        advice=COMMAND,
    )  # fmt: skip
    plan.check_names()
    check_provenance(plan.beside[0], plan.outputs)
    with plan.claim(), _team(chosen) as team:
        said = _find_into(chosen, settings, plan, team)
        if measured:
            said += f" {' and '.join(map(str, measured))} written."
        if not chosen.quiet:
            print(said, flush=True)  # it is there, whatever happens while the workers go
    return 0


def _team(chosen: argparse.Namespace) -> AbstractContextManager[SearchTeam | None]:
    """Connect to the cluster that is to search, if there is to be one."""
    if chosen.cluster is None:
        return nullcontext()
    from napari_fcnseg.run.cluster.instance_team import team_for

    return team_for(chosen.cluster, chosen.labels)


def _find_into(chosen: argparse.Namespace, settings: InstanceSettings, plan: Plan, team: SearchTeam | None) -> str:
    """Find instances, write them into files that are claimed, and return how many there are in words."""
    from napari_fcnseg.cli.arguments import said
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.instances.labeling import searched
    from napari_fcnseg.instances.scratch import scratch_beside
    from napari_fcnseg.instances.settings import InstanceSizes, absent, why_none
    from napari_fcnseg.run.provenance_file import provenance_of_file, write_with_provenance
    from napari_fcnseg.system.saving import ZARR

    labels: Path = Path(chosen.labels)
    file = said(read_image([chosen.labels], indices=True))
    spatial = _spatial(file, volume=chosen.volume)
    spacing = file.spacing(spatial)
    how = {"settings": settings.as_dict(), "spatial": spatial, "labels": str(labels)}
    room = scratch_beside(chosen.output) if chosen.output.suffix.lower() == ZARR else None
    who: dict[str, Any] = {"workers": team.join} if team is not None else {}
    with (
        blocks_bar("Searching", chosen.quiet) as progress,
        searched(file.data, settings, spatial=spatial, spacing=spacing, room=room, progress=progress, **who) as found,
    ):
        instances = found if room is not None else np.asarray(found)
        _measure(chosen, file, instances, spatial, spacing)
        made = {**provenance_of_file(labels), "instances": how}
        write_with_provenance(plan, file.labelled(instances), made, team.copy if team is not None else None)
        unit = f"{file.unit}{' ²³'[spatial - 1].strip()}" if file.unit else ""
        known = InstanceSizes.of(found, math.prod(spacing) if spacing else None, unit)
    if not known.count:
        print(f"napari-fcnseg: {why_none(file.data, settings)}", file=sys.stderr)  # in a script that is quiet, too
    elif missing := absent(file.data, settings):
        print(f"napari-fcnseg: {missing}", file=sys.stderr)
    return f"{chosen.output}: {known}."


def _measure(
    chosen: argparse.Namespace, file: ImageFile, found: Any, spatial: int, spacing: list[float] | None
) -> None:
    """Write the table and the outlines that are asked for."""
    if chosen.table is None and chosen.outlines is None:
        return
    from napari_fcnseg.arrays.frame_source import ChannelStack, transposed
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.instances.measuring import measure_objects
    from napari_fcnseg.instances.outlines import save_outlines

    image, names = None, [Path(name).stem for name in chosen.image[1:] and chosen.image]
    if chosen.image:
        read = read_image(chosen.image)
        data = read.data
        axis = read.channel_axis if read.channel_axis is not None else _spare_axis(data.shape, found.shape)
        order = [a for a in range(len(data.shape)) if a != axis]
        image = ChannelStack([data]) if axis is None else transposed(data, [*order, axis])
    unit = file.unit if spacing is not None else ""
    table = measure_objects(
        found, spatial=spatial, spacing=spacing if unit else None, unit=unit, image=image, channels=names
    )
    if chosen.table is not None:
        table.save(chosen.table, overwrite=chosen.overwrite)
    if chosen.outlines is not None:
        save_outlines(chosen.outlines, found, table, overwrite=chosen.overwrite)


def _spare_axis(image: Sequence[int], labels: Sequence[int]) -> int | None:
    """Return the axis that an image has and its labels have not: that of its channels, which not every file names."""
    fitting = [axis for axis in range(len(image)) if (*image[:axis], *image[axis + 1 :]) == tuple(labels)]
    return fitting[-1] if fitting else None


def _spatial(file: ImageFile, *, volume: bool) -> int:
    """Return along how many of the last axes an instance extends."""
    if file.channel_axis is not None:
        raise ImageError("The file has channels, and labels have none. Give the labels that segment has written.")
    axes = file.data.ndim
    if volume and axes < 3:
        raise ImageError(f"The labels have {axes} axes and are no volume. Leave --volume out.")
    return 3 if volume else min(axes, 2)
