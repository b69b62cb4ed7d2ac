"""The figures as a Markdown table, a page and a plot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

#: Largest difference of two probabilities, computed in float32 in another order.
_SAME = 1e-4
_PAGE = """# Results

Written by `make bench ARGS=--write` (`python benchmarks/run.py --write`); the newest figures of each network. What
drawing in the window costs says `make bench-window`, how fast an accelerator is `make bench-gpu`.

![times as long as ours](results.svg)

How it is measured:

- All ways of one network ran in one run on one machine, each in a process of its own with as many threads as there are
  cores. They took turns in every round, in the opposite order every second round. A time is the best of the rounds; the
  spread is how much longer the worst was.
- *End to end* is from an image file to a label file, the engine warm and the model read. *Engine only* is the same
  tiles without files, reading windows and making labels. The other ways get the image in memory, with its border, and
  write no file.
- Every way computes with the same numbers (batch normalisation folded into the convolutions) and is compared with ours
  in full: the largest difference of a probability is in the table.
- Every peer chose its fastest settings before the rounds: its tile (the whole image, 4 or 16 pieces), dilated
  pooling or the maximum of shifted slices, PyTorch its memory format, OpenVINO its performance hint. The blog post's
  way is four pieces by its nature.
- Our engine has its memory allocator keep freed pages while a run lasts; the other ways run as they come.
- Patch by patch is measured on a sample of random pixels and extrapolated.
- GFLOP/s count the network's own arithmetic, without the halo of the tiles. The peak is a float32 product of two
  4096² matrices, ONNX Runtime's or NumPy's, the best of those before, between and after the rounds.
- Memory is the resident memory of all processes of a way at its peak, in brackets what it was before anything was
  computed. Our two ways share their processes, and so do those of patch by patch.
"""


def as_page(results: dict[str, dict[str, Any]]) -> str:
    """Return all results as a page."""
    return "\n\n".join([_PAGE.rstrip(), *map(as_table, results.values())]) + "\n"


def as_table(result: dict[str, Any]) -> str:
    """Return one network's results as a Markdown table."""
    ours = min(result["ways"][0]["seconds"])
    size = " × ".join(map(str, [*result["shape"], result["patch"][-1]]))
    lines = [
        f"## {result['network']}: {size}",
        "",
        f"{result['what']}. Measured {result['measured']} on {_machine(result['machine'])}. "
        f"Best of {result['rounds']} rounds.",
        "",
        "| way | seconds | spread | kpx/s | GFLOP/s | of peak | time ÷ ours | memory MiB | largest difference |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(way, result, ours) for way in result["ways"]),
        "",
        f"Ceiling of the speed-up over patch by patch by arithmetic alone: {result['ceiling']:.0f} ×. "
        f"Peak: {result['peak_flops'] / 1e9:.0f} GFLOP/s.",
        "",
        *(f"- {way['way']}: {way['settings']}." for way in result["ways"]),
        *(f"- Not measured: {reason}." for reason in result["absent"]),
    ]
    return "\n".join(lines)


def _row(way: dict[str, Any], result: dict[str, Any], ours: float) -> str:
    seconds = min(way["seconds"])
    speed = math.prod(result["shape"]) / seconds
    flops = speed * result["flop_per_pixel"]
    work = f"{flops / 1e9:.0f} | {flops / result['peak_flops']:.2f}" if not _sampled(way) else " | "
    spread = f"{max(way['seconds']) / seconds - 1:.0%}"
    if "difference" in way:
        difference = f"{way['difference']:.0e}" if way["difference"] else "0"
        difference += " (computes something else!)" if way["difference"] > _SAME else ""
    else:
        difference = f"{way['labels_that_differ']} labels"
    return (
        f"| {way['way']} | {_seconds(seconds)} | {spread} | {speed / 1e3:,.3g} | {work} | {seconds / ours:,.3g} | "
        f"{way['peak_mib']:,.0f} ({way['idle_mib']:,.0f}) | {difference} |"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:,.2f}" if seconds < 100 else f"{seconds:,.0f}"


def _sampled(way: dict[str, Any]) -> bool:
    return str(way["way"]).startswith("patch by patch")


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, Python "
        f"{machine['python']}, {versions}"
    )


def plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw how many times as long as ours, end to end, each dense way takes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "napari-fcnseg"  # the same figures make the same file
    from matplotlib import pyplot as plt

    columns, rows = min(3, len(results)), math.ceil(len(results) / 3)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns + 2, 2.6 * rows + 0.4), sharey=True, squeeze=False
    )
    for unused in axes.flat[len(results) :]:
        unused.remove()
    names = list(dict.fromkeys(w["way"] for r in results.values() for w in r["ways"] if not _sampled(w)))
    for axis, result in zip(axes.flat, results.values(), strict=False):
        ours = min(result["ways"][0]["seconds"])
        ratios = {w["way"]: min(w["seconds"]) / ours for w in result["ways"]}
        for place, name in enumerate(names):
            if name in ratios:
                bar = axis.barh(place, ratios[name], color="#0072b2" if name.startswith("ours") else "#999999")
                axis.bar_label(bar, fmt="%.2f", padding=2, fontsize=8)
        axis.axvline(1, color="black", linewidth=0.6)
        axis.margins(x=0.18)
        axis.set_title(result["network"], fontsize=10)
        axis.set_yticks(range(len(names)), names, fontsize=8)
    axes[0][0].invert_yaxis()
    figure.supxlabel("time ÷ ours, end to end", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
