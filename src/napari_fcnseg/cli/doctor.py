"""``napari-fcnseg doctor``: what there is to compute with, how fast it is, and what mends what is missing."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(doctor: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    doctor.add_argument("--json", action="store_true", help="the report as JSON")
    doctor.add_argument("--no-timing", action="store_true", help="do not time a tile on each device")
    doctor.set_defaults(run=run_doctor)


def run_doctor(chosen: argparse.Namespace) -> int:
    """Print the report."""
    from napari_fcnseg.doctor.report import doctor

    if not chosen.json:
        print("Starting every installed framework and timing a tile on each device…", file=sys.stderr)
    report = doctor(timing=not chosen.no_timing)
    print(json.dumps(report.as_dict(), indent=1) if chosen.json else report)
    return 0
