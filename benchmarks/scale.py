"""What a run on a cluster costs and survives, with a real scheduler and real workers on this computer.

python benchmarks/scale.py deaths      a worker killed and one joining late; the scheduler killed
python benchmarks/scale.py head        the head killed at random moments until it ends
python benchmarks/scale.py overhead    one worker of a LocalCluster beside the plain run
python benchmarks/scale.py window      memory of head and scheduler, blocks per second; nothing is computed
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import zarr

from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.system.saving.names import growing_at, ledger_of

SAMPLE = SAMPLES["cells"]
HEAD = [sys.executable, "-c", "import sys; from napari_fcnseg.cli.main import main; sys.exit(main())"]
DASK = [sys.executable, "-m", "dask"]


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("deaths", "head", "overhead", "window"))
    parser.add_argument("--side", type=int, default=2048, help="pixels per axis of the image")
    parser.add_argument("--tile", type=int, default=400)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cluster", default=None, help="of head: local:N; none for the plain run")
    parser.add_argument("--blocks", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fcnseg-scale-") as folder:
        {"deaths": deaths, "head": head, "overhead": overhead, "window": window}[chosen.what](chosen, Path(folder))
    return 0


def image_of(folder: Path, side: int) -> Path:
    """Write an image of a side: the sample, again and again, with noise, so that no two places are alike."""
    sample = SAMPLE.image()
    array = zarr.create_array(
        folder / "image.zarr", shape=(side, side, 2), chunks=(512, 512, 2), dtype="float32", overwrite=True
    )  # fmt: skip
    noise = np.random.default_rng(1)
    rows = np.arange(side) % sample.shape[0]
    for start in range(0, side, 512):
        part = sample[rows[start : start + 512]][:, np.arange(side) % sample.shape[1]].astype(np.float32)
        array[start : start + 512] = part + noise.normal(0, part.std() / 10, part.shape)
    return folder / "image.zarr"


def command(image: Path, out: Path, tile: int | None, cluster: str | None) -> list[str]:
    """Return the command that segments an image."""
    line = [*HEAD, "segment", str(image), "--model", str(SAMPLE.model_path), "-o", str(out), "--channel-axis", "-1"]
    line += ["--preprocess", *SAMPLE.preprocess]
    line += ["--tile", str(tile)] if tile else []
    return line + (["--cluster", cluster] if cluster else [])


def segment(image: Path, out: Path, tile: int | None, cluster: str | None = None) -> float:
    """Segment an image; return the seconds."""
    began = time.perf_counter()
    done = subprocess.run(command(image, out, tile, cluster), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    print(f"  {' '.join(done.stdout.split())}")
    return seconds


def labels(path: Path) -> np.ndarray:
    """Return the labels of a result."""
    return zarr.open_array(path / "0", mode="r")[:]


class Dask:
    """A scheduler and workers, started as anyone would."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.workers: list[subprocess.Popen[bytes]] = []
        port = self.address.rpartition(":")[2]
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")

    def add_worker(self) -> None:
        """Start a worker."""
        self.workers.append(self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny"))

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # for `simulated`
        return subprocess.Popen([*DASK, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=path)

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def finished(out: Path) -> int:
    """Return how many lines the ledger of a result has that is growing."""
    try:
        return ledger_of(growing_at(out)).read_bytes().count(b"\n")
    except OSError:
        return 0


def wait_for(condition: object, seconds: float = 120) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise SystemExit("it did not come")
        time.sleep(0.05)


def deaths(chosen: argparse.Namespace, folder: Path) -> None:
    """Kill a worker and have one join late; kill the scheduler."""
    image = image_of(folder, chosen.side)
    print(f"plain: {segment(image, folder / 'plain.zarr', chosen.tile):.1f} s")
    expected = labels(folder / "plain.zarr")
    dask, out = Dask(), folder / "cluster.zarr"
    try:
        for _ in range(3):
            dask.add_worker()
        began = time.perf_counter()
        running = subprocess.Popen(command(image, out, chosen.tile, dask.address), stderr=subprocess.PIPE, text=True)
        wait_for(lambda: finished(out) > 3)
        dask.workers[0].kill()
        dask.add_worker()
        _, said = running.communicate(timeout=600)
        print(f"a worker killed, one late: {time.perf_counter() - began:.1f} s, exit code {running.returncode}")
        print(f"  same bits: {np.array_equal(labels(out), expected)}\n  said: {said.strip()}")
        out = folder / "again.zarr"
        running = subprocess.Popen(command(image, out, chosen.tile, dask.address), stderr=subprocess.PIPE, text=True)
        wait_for(lambda: finished(out) > 5)
        dask.scheduler.kill()
        _, said = running.communicate(timeout=120)
        before = finished(out) - 1
        print(f"the scheduler killed: exit code {running.returncode}, {before} blocks kept\n  said: {said.strip()}")
    finally:
        dask.close()
    dask = Dask()
    try:
        dask.add_worker()
        segment(image, out, chosen.tile, dask.address)
        provenance = json.loads((folder / "again.provenance.json").read_text(encoding="utf-8"))
        print(f"  a new one, same command: same bits: {np.array_equal(labels(out), expected)}; {provenance['notes']}")
    finally:
        dask.close()


def head(chosen: argparse.Namespace, folder: Path) -> None:
    """Kill the head at random moments, and give the same command again, until it ends."""
    image, moments = image_of(folder, chosen.side), random.Random(chosen.seed)
    whole = segment(image, folder / "plain.zarr", chosen.tile, chosen.cluster)
    expected, out = labels(folder / "plain.zarr"), folder / "killed.zarr"
    line, spent, starts, kills = command(image, out, chosen.tile, chosen.cluster), 0.0, 0.0, 0
    print(f"one whole run: {whole:.1f} s")
    while True:
        began, before = time.perf_counter(), finished(out)
        running = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        if kills >= chosen.kills:
            running.wait()
        else:
            while running.poll() is None and finished(out) == before:  # its start is not the run
                time.sleep(0.02)
            starts += time.perf_counter() - began
            try:
                running.wait(moments.uniform(0, 2 * whole / chosen.kills))
            except subprocess.TimeoutExpired:
                kills += 1
                running.send_signal(signal.SIGKILL)
                running.wait()
                time.sleep(0.3)
        spent += time.perf_counter() - began
        print(f"  {kills} kills, {finished(out)} lines, {spent:.1f} s")
        if running.returncode == 0 or out.exists():  # it may have been killed right after its end
            break
    print(f"{kills} kills: same bits: {np.array_equal(labels(out), expected)}")
    print(
        f"time: {spent:.1f} s, of which {starts:.1f} s until the first new block of each start; whole run {whole:.1f} s"
    )


def overhead(chosen: argparse.Namespace, folder: Path) -> None:
    """Compare one worker with the plain run, by turns."""
    image, times = image_of(folder, chosen.side), {None: [], "local:1": []}  # type: ignore[var-annotated]
    for turn in range(2):
        for cluster in times:
            out = folder / f"{turn}-{cluster}.zarr"
            total = segment(image, out, None, cluster)
            provenance = json.loads(out.with_name(f"{out.stem}.provenance.json").read_text(encoding="utf-8"))
            times[cluster].append((provenance["seconds"], total))
            shutil.rmtree(out)
    for cluster, found in times.items():
        computing, total = zip(*found, strict=True)
        print(f"{cluster or 'plain'}: computing {np.round(computing, 2)} s, in all {np.round(total, 2)} s")
    best = {cluster: np.min(found, axis=0) for cluster, found in times.items()}
    computing, total = best["local:1"] / best[None]
    print(f"ratio of computing: {computing:.3f}, in all: {total:.3f}")


def simulated(number: int) -> dict[str, object]:
    """Answer as a worker does, at once."""
    return {"sums": [number], "counts": [1, 2, 3], "seconds": 0.0}


def window(chosen: argparse.Namespace, folder: Path) -> None:
    """Hand out blocks that cost nothing, and look at the memory of head and scheduler."""
    import scale  # by its name, as the workers know it
    from distributed import Client

    from napari_fcnseg.run.cluster.window import Job, Window

    dask = Dask()
    try:
        for _ in range(2):
            dask.add_worker()
        client = Client(dask.address, set_as_default=False)
        client.wait_for_workers(2)
        scheduler, here = psutil.Process(dask.scheduler.pid), psutil.Process()
        for count in chosen.blocks:
            began = time.perf_counter()
            jobs = (Job(scale.simulated, (number,), "A block") for number in range(count))
            handed = Window(client, lambda address: Job(scale.simulated, (0,)), lambda address, answer: True, print)
            list(handed.gather())
            done = sum(found is not None for found in handed.answers(jobs, None))
            seconds = time.perf_counter() - began
            memory = [round(process.memory_info().rss / 2**20) for process in (here, scheduler)]
            print(f"{done:,} blocks: {done / seconds:.0f} per second; head {memory[0]} MiB, scheduler {memory[1]} MiB")
        client.close()
    finally:
        dask.close()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
