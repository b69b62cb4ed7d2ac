"""Compare several masks with one truth: align, score and rank them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.comparison.agreement_map import AgreementMap
from napari_fcnseg.comparison.alignment.world import Aligned, align
from napari_fcnseg.comparison.comparison import Comparison, scored, single_objects, unit_or_px
from napari_fcnseg.comparison.metrics.contingency import Contingency, count
from napari_fcnseg.comparison.metrics.objects import matches, rematched
from napari_fcnseg.comparison.metrics.scores import CLASS_RANKS, OBJECT_RANKS
from napari_fcnseg.comparison.settings import AUTO, INSTANCES, CompareSettings
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.instances.settings import background_classes
from napari_fcnseg.system.csv_file import write_csv
from napari_fcnseg.system.json_file import write_json
from napari_fcnseg.system.saving.texts import SCORES
from napari_fcnseg.system.serialization import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.comparison.alignment.placed import Placed

_STEPS = 1000  # steps that one mask counts for


@dataclass(frozen=True, eq=False)
class StudyEntry:
    """One mask of a study.

    Attributes
    ----------
    name : str
        What it is called.
    comparison : Comparison
        Its scores.
    table : Contingency
        What they follow from.
    provenance : mapping
        Where it comes from; empty if unknown.
    """

    name: str
    comparison: Comparison
    table: Contingency
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def single(self) -> bool:
        """Whether labels are single objects."""
        return self.comparison.instances is not None

    def value(self, score: str) -> float | int | None:
        """Return a score of the whole mask."""
        found = self.comparison
        for source in (found.instances, found.instances and found.instances.at, found.overall, found):
            if source is not None and hasattr(source, score):
                value: float | int | None = getattr(source, score)
                return value
        raise KeyError(score)


@dataclass(frozen=True, eq=False)
class Study:
    """Masks compared with a truth.

    Attributes
    ----------
    truth : str
        What it is called.
    settings : CompareSettings
        How they were compared.
    aligned : Aligned
        The maps on one grid: the truth, and then one for each entry.
    unit : str
        Of lengths.
    class_names : mapping of int to str
        What labels are called.
    entries : tuple of StudyEntry
        The masks, in the order given.
    truth_provenance : mapping
        Where the truth comes from; empty if unknown.
    """

    truth: str
    settings: CompareSettings
    aligned: Aligned
    unit: str
    class_names: Mapping[int, str]
    entries: tuple[StudyEntry, ...]
    truth_provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def single(self) -> bool:
        """Whether labels are single objects."""
        return self.entries[0].single

    @property
    def ranks(self) -> tuple[str, ...]:
        """The scores that masks are ranked by, the first before the others."""
        return OBJECT_RANKS if self.single else CLASS_RANKS

    @property
    def notes(self) -> tuple[str, ...]:
        """What was resampled, left out or not computed, as sentences; each once."""
        told = (note for entry in self.entries for note in entry.comparison.notes)
        return tuple(dict.fromkeys((*self.aligned.notes, *told)))

    @property
    def best(self) -> int:
        """The place of the best mask among the entries."""
        first = self.ranked()[0]
        return next(i for i, entry in enumerate(self.entries) if entry is first)

    def agreement(self, index: int) -> AgreementMap:
        """Return where a mask agrees with the truth; the background of classes is what their names call so."""
        single, aligned = self.single, self.aligned
        pairs = matches(self.entries[index].table, self.settings.threshold) if single else None
        return AgreementMap(
            aligned.maps[0], aligned.maps[index + 1], inside=aligned.inside, pairs=pairs, ignore=self.settings.ignore,
            background=() if single else background_classes(self.class_names),
        )  # fmt: skip

    def ranked(self) -> tuple[StudyEntry, ...]:
        """Return the masks, the best first: by mean Dice, or mean average precision. A mask without a score is last."""
        score = self.ranks[0]
        return tuple(sorted(self.entries, key=lambda entry: -(-1 if (n := entry.value(score)) is None else n)))

    def at(self, threshold: float) -> Study:
        """Return the same study with objects paired from another IoU on; no pixel is read again."""
        settings = replace(self.settings, threshold=threshold)
        if not self.single:
            return replace(self, settings=settings)
        entries = []
        for one in self.entries:
            known = one.comparison.instances
            assert known is not None
            again = rematched(one.table, known, threshold)
            entries.append(replace(one, comparison=replace(one.comparison, instances=again)))
        return replace(self, settings=settings, entries=tuple(entries))

    def rows(self) -> list[tuple[Any, ...]]:
        """Return every score as (mask, of what, score, value), the best mask first."""
        return [(entry.name, *row) for entry in self.ranked() for row in entry.comparison.rows()]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as JSON has it, the best mask first."""
        masks = [
            {"mask": entry.name, "provenance": to_plain(entry.provenance), **entry.comparison.as_dict()}
            for entry in self.ranked()
        ]
        return {
            "program": "napari-fcnseg", "truth": self.truth, "truth_provenance": to_plain(self.truth_provenance),
            "settings": self.settings.as_dict(), "unit": self.unit, "notes": list(self.notes),
            "grid": {"origin": list(self.aligned.origin), "affine": self.aligned.affine.tolist()},
            "class_names": {str(label): name for label, name in self.class_names.items()}, "masks": masks,
        }  # fmt: skip

    def save_csv(self, path: Path, *, overwrite: bool = False) -> None:
        """Write one line per score.

        Raises
        ------
        OutputError
            If it cannot be written, or is there already and not to be replaced.
        """
        write_csv(path, (("mask", "of", "score", "value"), *self.rows()), overwrite=overwrite)

    def save_json(self, path: Path, *, overwrite: bool = False) -> None:
        """Write all scores, the confusion matrices, the objects, the settings and where the masks come from.

        Raises
        ------
        OutputError
            If it cannot be written, or is there already and not to be replaced.
        """
        write_json(path, self.as_dict(), overwrite=overwrite, kind=SCORES)


def study(
    truth: Placed,
    masks: Sequence[Placed],
    settings: CompareSettings = CompareSettings(),  # noqa: B008 - it is frozen
    *,
    unit: str = "",
    class_names: Mapping[int, str] | None = None,
    provenance: Sequence[Mapping[str, Any]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Study:
    """Compare masks with a truth, in the world: all on the truth's grid, and where all of them are.

    Parameters
    ----------
    truth : Placed
        The label map that is right.
    masks : sequence of Placed
        The label maps that are judged.
    settings : CompareSettings
        How.
    unit : str
        Of lengths in the world.
    class_names : mapping of int to str, optional
        What labels are called.
    provenance : sequence of mapping
        Where the maps come from, the truth first.
    progress : callable, optional
        Called with the numbers of finished and of all steps; what it raises ends the comparison.

    Raises
    ------
    ImageError
        If the maps do not overlap, have no pixels, or a value is no label.
    SettingsError
        If there is no mask, or there are too many labels for classes.
    """
    if not masks:
        raise SettingsError("There is nothing to compare with the truth. Name at least one mask.")
    aligned = align([truth, *masks])
    tell = _Progress(len(masks), progress)
    first, *others = aligned.maps
    places = settings.kind in (AUTO, INSTANCES)
    tables = [
        count(first, other, ignore=settings.ignore, where=aligned.inside, places=places, progress=tell.part(i, 0))
        for i, other in enumerate(others)
    ]
    if aligned.inside is not None and not settings.ignore and not all(table.total for table in tables):
        raise ImageError(
            f"{truth.name!r} and the masks have no pixel in common. Look at how they are turned and placed."
        )
    single = settings.kind == INSTANCES or (settings.kind == AUTO and single_objects(tables))
    known = [*provenance, *({} for _ in range(len(masks) + 1 - len(provenance)))]
    entries = []
    for i, (mask, other, table) in enumerate(zip(masks, others, tables, strict=True)):
        comparison = scored(
            table, (first, other), settings, single=single, spacing=aligned.spacing, unit=unit,
            class_names=class_names or {}, cut=aligned.inside is not None, progress=tell.part(i, 1),
        )  # fmt: skip
        entries.append(StudyEntry(mask.name, comparison, table, known[i + 1]))
        tell.part(i, 1)(1, 1)
    return Study(
        truth.name,
        settings,
        aligned,
        unit_or_px(unit, aligned.spacing),
        class_names or {},
        tuple(entries),
        known[0],
    )


class _Progress:
    """Progress of counting all masks and then searching the borders of all."""

    def __init__(self, masks: int, progress: Callable[[int, int], None] | None) -> None:
        self._masks, self._progress = masks, progress

    def part(self, mask: int, phase: int) -> Callable[[int, int], None]:
        """Return a callback for the steps of a mask in one of the two phases."""

        def tell(done: int, total: int) -> None:
            if self._progress is not None:
                steps = (phase * self._masks + mask) * _STEPS + _STEPS * done // total
                self._progress(steps, 2 * self._masks * _STEPS)

        return tell
