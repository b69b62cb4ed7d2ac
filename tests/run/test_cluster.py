"""A run on a real Dask cluster: the bits of the plain run, whichever workers die, and nothing computed twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import _cluster_jobs
import numpy as np
import pytest
import zarr

import napari_fcnseg as nf
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import ClusterError, OutputError, SettingsError
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.plan.blocks import Blocks, wanted_tiles
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.proof import verification
from napari_fcnseg.run.cluster import address, order, submissions, worker
from napari_fcnseg.run.cluster.address import check_address, connected
from napari_fcnseg.run.cluster.job import GIVEN_UP, Job
from napari_fcnseg.run.cluster.looking import FrameLook
from napari_fcnseg.run.cluster.window import Window
from napari_fcnseg.run.ledger import checksum
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.result import ResultArrays
from napari_fcnseg.run.run import Run
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.saving.names import ledger_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed")
address._SECONDS = 3  # nobody answers sooner there where nobody is
SAMPLE = SAMPLES["cells"]
CHOSEN: dict[str, Any] = {"preprocess": SAMPLE.preprocess, "channel_axis": -1, "tile": 128}


class Dask:
    """A scheduler and its workers, started as anyone would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, list[subprocess.Popen[bytes]]()
        self._start("scheduler", "--port", "0", "--scheduler-file", str(folder / "scheduler.json"))
        while not (folder / "scheduler.json").is_file():
            time.sleep(0.05)
        self.address = json.loads((folder / "scheduler.json").read_text(encoding="utf-8"))["address"]

    def add_worker(self) -> None:
        """Start a worker."""
        self._start("worker", self.address, "--nthreads", "2", "--no-nanny", "--local-directory", str(self.folder))

    def _start(self, *arguments: str) -> None:
        line = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
        self.processes.append(subprocess.Popen(line, env={**os.environ, "PYTHONPATH": path}, **quiet))

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Dask]:
    found = Dask(tmp_path_factory.mktemp("dask"))
    found.add_worker()
    yield found
    found.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Any:
    """Return a stack of three frames in a file."""
    pixels = np.stack([np.tile(SAMPLE.image(), (2, 2, 1))[n : 400 + n, :520] for n in range(3)])
    path = tmp_path_factory.mktemp("image") / "image.zarr"
    array = zarr.create_array(path, shape=pixels.shape, chunks=(1, 200, 200, 2), dtype=pixels.dtype)
    array[:] = pixels
    return zarr.open_array(path, mode="r")


@pytest.mark.timeout(120)
def test_workers_that_die_and_come_late_give_the_bits_of_the_plain_run(dask, image, tmp_path) -> None:
    whole = nf.segment(image, SAMPLE.model_path, probabilities=True, **CHOSEN)
    seen: list[int] = []
    dask.add_worker()

    def progress(done: int, total: int) -> None:
        if not seen:
            dask.processes[1].kill()
            dask.add_worker()
        seen.append(done)

    result = nf.segment(
        image, SAMPLE.model_path, cluster=dask.address, out=tmp_path / "labels.zarr",
        probabilities_out=tmp_path / "p.zarr", progress=progress, **CHOSEN,
    )  # fmt: skip
    np.testing.assert_array_equal(result.labels[:], whole.labels)
    np.testing.assert_array_equal(result.probabilities[:], whole.probabilities)
    assert (len(seen), seen[-1]) == (12, 60)
    assert result.provenance["cluster"]["scheduler"] == dask.address
    assert result.provenance["cluster"]["workers"] in (1, 2)  # at once: the others may come too late for any block
    assert result.provenance["devices"] == whole.provenance["devices"] or result.provenance["devices"] == ["CPU:0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.zarr", "p.zarr"]


@pytest.mark.timeout(120)
def test_the_command_goes_on_on_a_cluster_with_what_the_plain_run_has_left(dask, image, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["segment", str(image.store.root), "--model", str(SAMPLE.model_path), "-o", "labels.zarr", "--quiet"]
    command += ["--preprocess", *SAMPLE.preprocess, "--tile", "128", "--channel-axis", "-1"]
    write = ResultArrays.write

    def stop(self: ResultArrays, tile: Any) -> None:
        write(self, tile)
        if tile.done == 31:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResultArrays, "write", stop)
        cli.main(command)
    part = tmp_path / "labels.partial.zarr"
    assert ledger_of(part).is_file()
    assert cli.main([*command, "--cluster", dask.address]) == 0
    written = json.loads((tmp_path / "labels.provenance.json").read_text(encoding="utf-8"))
    assert "31 of 60 tiles were there already." in written["notes"]
    expected = nf.segment(image, SAMPLE.model_path, **CHOSEN).labels
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr" / "0")[:], expected)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ending", [".tif", ".zarr"])
def test_a_rescaled_image_is_verified_and_goes_into_any_file_as_on_one_computer(
    dask, image, tmp_path, monkeypatch, capsys, ending
) -> None:
    """The workers compute rescaled pixels into a folder beside the result, and answer with numbers to compare."""
    monkeypatch.chdir(tmp_path)
    command = ["segment", str(image.store.root), "--model", str(SAMPLE.model_path), "--channel-axis", "-1"]
    command += ["--preprocess", *SAMPLE.preprocess, "--tile", "128", "--ways", "plain", "--rescale", "0.8", "--verify"]
    said = {}
    for name, more in (("here", []), ("there", ["--cluster", dask.address])):
        output = tmp_path / f"{name}{ending}"
        assert cli.main([*command, *more, "-o", str(output), "--confidence", f"{name}-c{ending}"]) == 0
        said[name] = capsys.readouterr().out
        assert "256 of 256 labels agree" in said[name]
    results = {name: [np.asarray(read_image([tmp_path / f"{name}{more}{ending}"]).data) for more in ("", "-c")]
               for name in said}  # fmt: skip
    for one, other in zip(*results.values(), strict=True):
        assert one.shape == (3, 400, 520)
        np.testing.assert_array_equal(one, other)
    written = [json.loads((tmp_path / f"{name}.provenance.json").read_text(encoding="utf-8")) for name in said]
    assert written[1]["rescale"] == written[0]["rescale"] == [0.8, 0.8]
    checked = [one["certificate"] for one in written]
    assert checked[0]["max_abs_difference"] == checked[1]["max_abs_difference"] > 0
    assert checked[0]["image"] == checked[1]["image"]
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.timeout(120)
def test_what_is_left_of_a_rescaled_run_on_a_cluster_goes_on_there(dask, image, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["segment", str(image.store.root), "--model", str(SAMPLE.model_path), "-o", "labels.tif", "--quiet"]
    command += ["--preprocess", *SAMPLE.preprocess, "--tile", "128", "--channel-axis", "-1", "--rescale", "0.8"]
    write = ResultArrays.write

    def stop(self: ResultArrays, tile: Any) -> None:
        write(self, tile)
        if tile.done >= 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResultArrays, "write", stop)
        cli.main([*command, "--cluster", dask.address])
    assert ledger_of(tmp_path / "labels.tif.partial.zarr").is_file()
    assert cli.main([*command, "--cluster", dask.address, "--verify"]) == 0
    written = json.loads((tmp_path / "labels.provenance.json").read_text(encoding="utf-8"))
    assert any("tiles were there already." in note for note in written["notes"])
    assert written["certificate"]["points"] == 256
    expected = nf.segment(image, SAMPLE.model_path, rescale=0.8, **CHOSEN).labels
    np.testing.assert_array_equal(read_image(["labels.tif"]).data, expected)


@pytest.mark.timeout(120)
def test_a_verified_run_has_blocks_without_a_point_and_may_have_been_there_already(
    dask, image, tmp_path, monkeypatch, capsys
) -> None:
    """Of what was there already nobody has kept the numbers: some of it is computed again."""
    monkeypatch.chdir(tmp_path)
    points = verification.choose_points
    monkeypatch.setattr(verification, "choose_points", lambda *given: points(*given)[:2])
    command = ["segment", str(image.store.root), "--model", str(SAMPLE.model_path), "-o", "labels.npy", "--verify"]
    command += ["--preprocess", *SAMPLE.preprocess, "--tile", "128", "--channel-axis", "-1", "--cluster", dask.address]
    settle = ResultArrays.settle

    def stop(self: ResultArrays) -> None:
        self._written(0)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResultArrays, "settle", stop)
        cli.main(command)
    assert ResultArrays.settle is settle
    assert ledger_of(tmp_path / "labels.npy.partial.zarr").is_file()
    assert cli.main(command) == 0
    assert "2 of 2 labels agree" in capsys.readouterr().out
    written = json.loads((tmp_path / "labels.provenance.json").read_text(encoding="utf-8"))
    assert "60 of 60 tiles were there already." in written["notes"]
    assert cli.main([*command, "-o", "again.npy"]) == 0
    assert "2 of 2 labels agree" in capsys.readouterr().out


def taken_by_parts(plan: Any, index: tuple[int, ...], key: str, parts: int) -> Any:
    """Return the statistics of a frame, looked at in parts."""
    look = FrameLook(plan, index, key, parts)
    while look.numbers is None:
        if (job := look.next_job()) is not None:
            look.answered(job, job.function(*job.arguments))
    return json.loads(json.dumps(look.numbers))


@pytest.mark.parametrize(
    "more",
    [
        {"border": "valid", "confidence": True},
        {"region": ((37, 390), (100, 500)), "probabilities": True, "preprocess": ("scale_range:1,99",)},
        {"every": 3, "tile": 99, "preprocess": ("zero_mean_unit_variance@all",)},
        {"mask": True, "probabilities": True},
    ],
)
def test_blocks_together_are_the_run(image, tmp_path, more) -> None:
    chosen = {**CHOSEN, "frames": ((1, 2),), **more}
    mask = None
    if chosen.pop("mask", None):
        mask = zarr.create_array(tmp_path / "mask.zarr", shape=(400, 520), chunks=(100, 100), dtype=bool)
        mask[100:130, 290:330] = True
    plain = nf.segment(image, SAMPLE.model_path, mask=mask, **chosen)
    settings = RunSettings(**chosen)
    plan = make_plan(image, as_ensemble(SAMPLE.model_path), settings, mask=mask)
    place = order.place_of(mask) if mask is not None else None
    wanted = json.loads(json.dumps(order.make_order(plan, order.place_of(image), place, image)))
    said = worker.greet(wanted, {}, [])
    assert not said["trouble"]
    run = Run(plan)
    kinds = kept_outputs(plan.settings)
    with ResultArrays(run, {kind.name: tmp_path / f"{kind.name}.zarr" for kind in kinds}) as arrays:
        places = {name: growing.address for name, growing in arrays._growing}
        blocks = Blocks.of(plan)
        for index in plan.schedule.frames:
            for number in blocks.of_frame(index):
                if list(wanted_tiles(plan, blocks, *blocks.at(number))):
                    numbers = taken_by_parts(plan, index, order.key_of(wanted), 3)
                    found = worker.compute_block(order.key_of(wanted), plan.tile, number, numbers, places)
                    assert "trouble" not in found
                    at = (*index, *as_slices(blocks.at(number)[1]))
                    assert found["sums"] == [checksum(np.asarray(arrays.arrays[kind.name][at])) for kind in kinds]
        for kind in kinds:
            np.testing.assert_array_equal(arrays.arrays[kind.name][:], getattr(plain, kind.name))


def test_a_model_that_a_worker_does_not_see_is_sent_and_another_image_is_refused(image, tmp_path) -> None:
    model = nf.load_model(SAMPLE.model_path)
    settings = RunSettings(channel_axis=-1, preprocess=SAMPLE.preprocess, tile=128)
    wanted = order.make_order(make_plan(image, [model], settings), order.place_of(image), None, image)
    wanted["models"][0]["path"] = str(tmp_path / "nowhere" / model.path.name)
    assert worker.greet(wanted, {}, [])["missing"] == [0]
    assert worker.greet(wanted, {0: order.files_of(model)}, [])["kind"]["devices"]
    assert "lies outside its folder" in worker.greet({**wanted, "another": 1}, {0: {"../x": b""}}, [])["trouble"]
    other = {**wanted, "look": {**wanted["look"], "crc": 1}}
    assert "sees another image" in worker.greet(other, {0: order.files_of(model)}, [])["trouble"]
    older = {**wanted, "program": "0.0.1"}
    assert "Install the same there" in worker.greet(older, {}, [])["trouble"]


def test_what_a_cluster_cannot_do_is_said_before_one_is_asked(image, tmp_path, capsys) -> None:
    model, out = SAMPLE.model_path, tmp_path / "labels.zarr"
    with pytest.raises(
        SettingsError, match=r"only in this computer's memory.*Save it as Zarr in a folder that they see"
    ):
        nf.segment(image[:], model, cluster="tcp://127.0.0.1:9", out=out, **CHOSEN)
    with pytest.raises(ClusterError, match=r"the labels would go into memory.*ends with \.zarr"):
        nf.segment(image, model, cluster="tcp://127.0.0.1:9", **CHOSEN)
    with pytest.raises(SettingsError, match=r"names no cluster.*tcp://HOST:8786"):
        nf.segment(image, model, cluster="local:0", out=out, **CHOSEN)
    for wrong in ("head", "tcp://head"):
        with pytest.raises(SettingsError, match=r"names no cluster"):
            check_address(wrong)
    line = ["segment", str(image.store.root), "--model", str(model), "-o", str(tmp_path / "l.tif"), "--quiet"]
    assert cli.main([*line, "--channel-axis", "-1", "--cluster", "tcp://127.0.0.1:9"]) != 0
    assert "No scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    with pytest.raises(OutputError, match=r"l\.tif cannot be written while a run goes on.*ends with \.zarr"):
        nf.segment(image, model, cluster="tcp://127.0.0.1:9", out=tmp_path / "l.tif", **CHOSEN)
    for good in ("local:3", "tcp://10.0.0.1:8786", "tls://head:8786", "head:8786"):
        assert check_address(good) == good


def jobs_of(function: Any, count: int) -> list[Job]:
    return [Job(function, (n,), f"Job {n}") for n in range(count)]


def handed_out(client: Any, jobs: list[Job], said: list[str]) -> Any:
    there = Window(client, lambda address: Job(_cluster_jobs.answer, (0,)), lambda address, answer: True, said.append)
    assert not any(there.gather())
    return there.answers(iter(jobs), 0.1)


def test_a_job_that_fails_three_times_ends_the_run_after_the_others(dask) -> None:
    said: list[str] = []
    with connected(dask.address) as cluster:
        found = [f for f in handed_out(cluster.client, jobs_of(_cluster_jobs.answer, 30), said) if f is not None]
        assert sorted(answer["number"] for _, answer in found) == list(range(30))
        with pytest.raises(ClusterError, match="Job 0 failed 3 times, at last: Number 0 is cursed"):
            list(handed_out(cluster.client, jobs_of(_cluster_jobs.fail, 1), said))
        assert len([note for note in said if "It is computed again" in note]) == 2
        jobs = [Job(_cluster_jobs.fail, (0,), "The image a.tif", alone=True)]
        jobs += [Job(_cluster_jobs.answer, (number,), f"Job {number}", alone=True) for number in range(1, 9)]
        answers = [found for found in handed_out(cluster.client, jobs, said) if found is not None]
    given_up = {job.what: answer[GIVEN_UP] for job, answer in answers if GIVEN_UP in answer}
    assert list(given_up) == ["The image a.tif"]
    assert given_up["The image a.tif"].startswith("The image a.tif failed 3 times, at last: Number 0 is cursed.")
    assert sorted(answer["number"] for _, answer in answers if GIVEN_UP not in answer) == list(range(1, 9))


def test_the_scheduler_keeps_no_note_of_every_job(dask, monkeypatch) -> None:
    monkeypatch.setattr(submissions, "_OFTEN", 10)

    def noted(dask_scheduler: Any) -> dict[str, int]:
        spans = dask_scheduler.extensions["spans"].spans.values()
        return {span.id: len(span._metadata["collections"]) for span in spans if span._metadata}

    with connected(dask.address) as cluster:
        somebody = cluster.client.map(len, [[n] for n in range(3)], pure=False)  # whose notes are not ours to remove
        cluster.client.gather(somebody)
        others = cluster.client.run_on_scheduler(noted)
        found = list(handed_out(cluster.client, jobs_of(_cluster_jobs.answer, 200), []))
        after = cluster.client.run_on_scheduler(noted)
    assert sum(one is not None for one in found) == 200
    (own,) = set(after) - set(others)
    assert 1 <= after[own] < 50  # ten, and what was on its way to the scheduler when it last removed them
    assert {span: count for span, count in after.items() if span in others} == others


def test_a_lost_scheduler_is_a_sentence(tmp_path) -> None:
    own = Dask(tmp_path)
    try:
        own.add_worker()
        with connected(own.address) as cluster:
            answers = handed_out(cluster.client, jobs_of(_cluster_jobs.wait, 3), [])
            assert next(answers) is None
            own.processes[0].kill()
            with pytest.raises(ClusterError, match=r"is gone.*the same command with its address"):
                list(answers)
    finally:
        own.close()
    with pytest.raises(ClusterError, match=r"No scheduler answers at .*dask scheduler"), connected("127.0.0.1:9"):
        pass
