"""``napari-fcnseg verify``: compare the result with the patch model itself, and write a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.cli.arguments import (
    add_overwrite,
    add_run_arguments,
    inputs_of,
    mask_of,
    models_of,
    on_axis,
    read_by,
    rescaled,
    settings_of,
)
from napari_fcnseg.cli.exit_codes import DIFFERENT, OK
from napari_fcnseg.cli.progress import progress_bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Plan


def add_arguments(verify: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_run_arguments(verify)
    verify.add_argument("--points", type=int, default=256, metavar="N", help="pixels to compare (256)")
    verify.add_argument("--seed", type=int, default=0, help="of their random choice (0)")
    certificate = verify.add_mutually_exclusive_group()
    where = "where the proof is kept (IMAGE.MODEL.certificate.json beside the image, or here for one at an address)"
    certificate.add_argument("--certificate", type=Path, metavar="FILE", help=where)
    certificate.add_argument("--no-certificate", action="store_true", help="print the result only")
    add_overwrite(verify, "replace an earlier certificate; never what is read")
    verify.set_defaults(run=run_verify)


def run_verify(chosen: argparse.Namespace) -> int:
    """Verify a run, keep its certificate, and return the exit code."""
    from napari_fcnseg.system.addresses import address_of, shown
    from napari_fcnseg.system.saving import COMMAND, Plan
    from napari_fcnseg.system.saving.texts import CERTIFICATE

    settings = settings_of(chosen)
    if chosen.no_certificate:
        return _verify_into(chosen, settings, Plan((), read_by(chosen)))
    if chosen.certificate is not None:
        check = Plan((chosen.certificate,), read_by(chosen), overwrite=chosen.overwrite, advice=COMMAND)
        check.check_names()
        check.check_free()
    models = models_of(chosen)
    image = Path(chosen.image[0])
    if address := address_of(image):  # nothing is written there
        image = Path(shown(address).rpartition("/")[2])
    names = "+".join(model.name for model in models)[:80]
    path = chosen.certificate or image.with_name(f"{image.stem}.{names}.certificate.json")
    plan = Plan((path,), read_by(chosen), overwrite=chosen.overwrite, advice=COMMAND)
    with plan.claim():
        CERTIFICATE.check(path)
        return _verify_into(chosen, settings, plan, models)


def _verify_into(
    chosen: argparse.Namespace, settings: RunSettings, plan: Plan, models: Sequence[PatchModel] | None = None
) -> int:
    """Verify a run, and leave the certificate in the file that is claimed, if there is one."""
    from napari_fcnseg.engine import engine

    engine().choose(settings.device, settings.precision)  # it starts while model and image are read

    from napari_fcnseg.plan.run_plan import make_plan
    from napari_fcnseg.proof.verification import VerificationSampler, check_converted
    from napari_fcnseg.run.result import execute_into
    from napari_fcnseg.run.run import Run

    image, models = inputs_of(chosen, models)
    check_converted(models)
    plan.read(file for model in models for file in model.files)
    settings = on_axis(settings, image)
    scaling = rescaled(chosen, image, models, settings)
    run = Run(make_plan(scaling.image if scaling else image.data, models, settings, mask=mask_of(chosen)))
    sampler = VerificationSampler(run, chosen.points, chosen.seed)
    sampler.expect()
    with progress_bar("Segmenting", chosen.quiet) as progress:
        execute_into(run, sampler.see, progress=progress)
    verification = sampler.verify()
    print(verification)
    for path in plan.outputs:
        print(f"Certificate: {verification.certificate.save(path, overwrite=plan.overwrite)}")
    return OK if verification.passed else DIFFERENT
