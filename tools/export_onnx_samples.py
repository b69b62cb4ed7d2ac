"""Export small PyTorch patch networks to ONNX, with PyTorch's own answers beside them.

They test the ONNX reader where there is no PyTorch. Run this where ``torch``, ``onnx`` and ``onnxscript`` are installed
(``pip install torch==2.13.0 onnx onnxscript`` made the files in the repository)::

    python tools/export_onnx_samples.py tests/readers/onnx
    python tools/export_onnx_samples.py FOLDER --all --opset 13

    python tools/export_onnx_samples.py FOLDER --pt2

``NAME.ts.onnx`` comes from the TorchScript exporter, ``NAME.dynamo.onnx`` from the newer one, which keeps large arrays
in ``NAME.dynamo.onnx.data``. ``NAME.npz`` holds patches ``x0``, ``x1`` … and PyTorch's answers ``y0``, ``y1`` ….
``NAME.export.pt2`` and ``NAME.core.pt2`` are what ``torch.export`` saves, the second one in core operators. These need
no ``onnx``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - so it is called everywhere


class Residual(nn.Module):
    """Two branches added, after SiLU and a squeeze-and-excitation gate."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores."""
        x = F.silu(self.norm(self.first(x)))
        y = F.hardswish(self.second(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        x = x + y * gate
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Dense(nn.Module):
    """Vectors gated by vectors, and shapes that are computed from the input's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 4, stride=2, padding=1)
        self.gate = nn.Linear(6, 6)
        self.head = nn.Linear(6 * 25, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities."""
        x = F.leaky_relu(self.conv(x), 0.1)
        gate = torch.tanh(self.gate(x.mean((2, 3)))).view(-1, 6, 1, 1)
        x = x * gate
        return torch.softmax(self.head(x.view(x.size(0), -1)), 1)


class Multi(nn.Module):
    """Two resolutions, joined by channels."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ELU(0.7))
        self.coarse = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 4, 3), nn.Hardsigmoid(), nn.Upsample(scale_factor=2))
        self.head = nn.Linear(8 * 16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities."""
        coarse = self.coarse(x)[:, :, 1:-1, 1:-1][:, :, ::2, ::2]
        joined = torch.cat([self.fine(x), coarse], 1)
        return F.log_softmax(self.head(joined.flatten(1)), dim=1)


class Two(nn.Module):
    """Two inputs of one patch, two answers."""

    def __init__(self) -> None:
        super().__init__()
        self.phase, self.dapi = nn.Conv2d(1, 4, 3), nn.Conv2d(2, 4, 3)
        self.head, self.edge = nn.Conv2d(4, 3, 7), nn.Conv2d(4, 1, 7)

    def forward(self, phase: torch.Tensor, dapi: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return classes and the probability of an edge."""
        x = torch.relu(self.phase(phase) + self.dapi(dapi))
        a, b = torch.chunk(x, 2, 1)
        x = torch.cat([b, a * 0.5 - 1.0], 1)
        return self.head(x).softmax(1).squeeze(-1).squeeze(-1), torch.sigmoid(self.edge(x)).flatten(1)


class Next(nn.Module):
    """A ConvNeXt block: channels go last for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 2, stride=2)
        self.mix = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.LayerNorm(8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.3))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores."""
        x = self.stem(x)
        y = self.norm(self.mix(x).permute(0, 2, 3, 1))
        y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
        return self.head((x + self.scale * y).amax((2, 3)))


class Centre(nn.Module):
    """The central pixel of an image-to-image network, one number for two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 2, stride=2)
        self.up = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)
        self.last = nn.Conv2d(3, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one probability."""
        x = self.last(F.softplus(self.up(F.mish(self.down(x)))))
        return torch.sigmoid(x[:, :, 3, 4])


def _chain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


#: Name -> network, shapes of its inputs without the batch axis.
SAMPLES = {
    "chain2d": lambda: (
        _chain(
            *(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.Tanh()),
            *(nn.Dropout(0.5), nn.Flatten(), nn.Linear(8 * 4 * 3, 10), nn.ReLU(), nn.Linear(10, 3), nn.Softmax(1)),
        ),
        [(2, 15, 13)],
    ),
    "residual": lambda: (Residual(), [(2, 11, 11)]),
    "gated": lambda: (Dense(), [(1, 10, 10)]),
    "multi": lambda: (Multi(), [(3, 14, 14)]),
    "two": lambda: (Two(), [(1, 9, 9), (2, 9, 9)]),
    "next": lambda: (Next(), [(2, 10, 8)]),
    "centre": lambda: (Centre(), [(1, 10, 10)]),
    "norms": lambda: (
        _chain(
            *(nn.BatchNorm2d(2), nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), nn.PReLU(6), nn.Conv2d(6, 6, 3, padding=2)),
            *(nn.InstanceNorm2d(6, affine=True), nn.CELU(0.6), nn.LayerNorm([6, 7, 7]), nn.SELU(), nn.Flatten()),
            *(nn.Linear(6 * 49, 4), nn.LayerNorm(4), nn.BatchNorm1d(4), nn.Hardtanh(-0.4, 0.9), nn.Linear(4, 2)),
        ),
        [(2, 7, 7)],
    ),
    "pools": lambda: (
        _chain(
            *(nn.MaxPool2d(3, 2, padding=1), nn.AvgPool2d(2, 1, padding=1), nn.Conv2d(1, 4, 3, dilation=2)),
            *(nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), nn.MaxPool2d(2, 2, ceil_mode=True)),
            *(nn.ZeroPad2d((1, 0, 2, 1)), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Softsign(), nn.LogSigmoid()),
        ),
        [(1, 19, 21)],
    ),
    "volume": lambda: (
        _chain(
            *(nn.Conv3d(1, 4, (2, 3, 3), padding=(0, 1, 1)), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 4, 2, groups=2)),
            *(nn.LeakyReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2), nn.Sigmoid()),
        ),
        [(1, 7, 9, 8)],
    ),
    "line": lambda: (
        _chain(
            *(nn.Conv1d(2, 4, 5, stride=2), nn.BatchNorm1d(4), nn.GELU(), nn.Conv1d(4, 8, 3, groups=4)),
            *(nn.AvgPool1d(2), nn.Flatten(), nn.Linear(8 * 6, 2)),
        ),
        [(2, 33)],
    ),
}
#: What the repository keeps of them: by which exporter, and whether with a file of arrays beside it.
KEPT = {
    "chain2d": "dynamo+data",
    "multi": "dynamo+data",
    "next": "dynamo+data",
    "centre": "dynamo",
    "volume": "dynamo",
    **dict.fromkeys(("residual", "gated", "two", "norms", "pools", "line"), "ts"),
}


def main() -> None:
    """Export the samples into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--opset", type=int, help="instead of each exporter's own")
    parser.add_argument("--pt2", action="store_true", help="torch.export instead of ONNX")
    parser.add_argument("--all", action="store_true", help="every sample by both exporters")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    for number, name in enumerate(SAMPLES):
        if chosen.pt2:
            export_program(chosen.folder, name, number)
            continue
        for kind in ("ts", "dynamo+data") if chosen.all else (KEPT[name],):
            export(chosen.folder, name, number, kind, chosen.opset)


def export(folder: Path, name: str, seed: int, kind: str, opset: int | None) -> None:
    """Write one network, and what PyTorch says of three patches."""
    model, patches, answers = prepared(folder, name, seed)
    names = [f"patch{i}" for i in range(len(patches))]
    settings = {"input_names": names, "output_names": [f"scores{i}" for i in range(len(answers))], "verbose": False}
    if opset:
        settings["opset_version"] = opset
    exporter = kind.partition("+")[0]
    path = folder / f"{name}.{exporter}.onnx"
    if exporter == "ts":
        settings |= {"dynamo": False, "dynamic_axes": {n: {0: "batch"} for n in names}}
    else:
        batch = torch.export.Dim("batch")
        settings |= {"dynamo": True, "dynamic_shapes": tuple({0: batch} for _ in names)}
        settings |= {"external_data": kind.endswith("+data")}
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, tuple(p[:2] for p in patches), str(path), **settings)
    forget_where(path)


def prepared(folder: Path, name: str, seed: int) -> tuple[nn.Module, list[torch.Tensor], tuple[torch.Tensor, ...]]:
    """Make one network, and write what it says of three patches."""
    torch.manual_seed(seed)
    model, shapes = SAMPLES[name]()
    model.eval()
    with torch.no_grad():
        vary(model)
        patches = [torch.randn(3, *shape) for shape in shapes]
        answers = model(*patches)
    answers = answers if isinstance(answers, tuple) else (answers,)
    arrays = {f"x{i}": p.numpy() for i, p in enumerate(patches)} | {f"y{i}": a.numpy() for i, a in enumerate(answers)}
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    return model, patches, answers


def export_program(folder: Path, name: str, seed: int) -> None:
    """Write one network as ``torch.export`` does, and what PyTorch says of three patches."""
    model, patches, _ = prepared(folder, name, seed)
    batch = torch.export.Dim("batch")
    sizes = ({0: batch},) * len(patches)
    program = torch.export.export(model, tuple(p[:2] for p in patches), dynamic_shapes=sizes)
    torch.export.save(program, folder / f"{name}.export.pt2")
    torch.export.save(program.run_decompositions(), folder / f"{name}.core.pt2")


def vary(model: nn.Module) -> None:
    """Give normalisations numbers other than ones and zeros."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
        if getattr(module, "weight", None) is not None and "Norm" in type(module).__name__:
            module.weight.uniform_(-1.5, 1.5)
            module.bias.normal_()


def forget_where(path: Path) -> None:
    """Take out of a file what the newer exporter notes of the source code, with the paths of this machine."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.value_info):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
