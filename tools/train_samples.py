"""Train the patch models of the samples, score them on pixels they never saw, and write both down.

    python tools/train_samples.py [tissue | cells | all]

Takes a few minutes on two cores. Every figure in ``samples/models/scores.json`` and ``samples/models/README.md`` is
measured here. The files differ in the last digits between machines, because sums are split over threads.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import scipy
import skimage
from keras import layers
from scipy import ndimage

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.samples import CELLS_SEED, CELLS_TRAINING_SEEDS, SAMPLES, Sample
from napari_fcnseg.samples.synthetic import cell_instances, fluorescence_cells
from napari_fcnseg.samples.teacher import TEACHER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATCH = 31
HALF = PATCH // 2
SEED = 1
MODELS = Path(__file__).resolve().parents[1] / "src" / "napari_fcnseg" / "samples" / "models"


@dataclass(frozen=True)
class Ground:
    """One preprocessed image with labels, and the pixels that may be used."""

    image: np.ndarray  # (row, col, channel), float32
    labels: np.ndarray  # (row, col), class index + 1
    usable: np.ndarray  # (row, col), bool


@dataclass(frozen=True)
class Task:
    """How one sample's model is trained and scored."""

    build: Callable[[], keras.Model]
    training: Callable[[Sample], list[Ground]]
    held_out: Callable[[Sample], Ground]
    data: str  # what was trained on and scored, as sentences for the README
    patches: int  # per epoch
    epochs: int


def tissue_network() -> keras.Model:
    """Functional: bytes scaled inside, a strided 5 x 5 convolution, LeakyReLU, average pooling, dropout."""
    patch = keras.Input((PATCH, PATCH, 3), name="patch")
    x = layers.Rescaling(1 / 255, name="bytes_to_unit")(patch)
    x = layers.Conv2D(24, 5, strides=2, name="stain")(x)  # 31 -> 14
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.Conv2D(24, 3, name="texture")(x)  # 14 -> 12
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.AveragePooling2D(2)(x)  # 12 -> 6
    x = layers.Conv2D(32, 3, name="shape")(x)  # 6 -> 4
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(48, activation="relu", name="hidden")(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(patch, layers.Dense(3, activation="softmax", name="class")(x), name="tissue31")


def cells_network() -> keras.Model:
    """Sequential, in the style of DeepCell: convolution, batch normalisation, ReLU, and two max-poolings."""

    def block(filters: int, size: int) -> list[layers.Layer]:
        # Batch normalisation has a bias of its own.
        return [layers.Conv2D(filters, size, use_bias=False), layers.BatchNormalization(), layers.ReLU()]

    return keras.Sequential(
        [
            keras.Input((PATCH, PATCH, 2), name="patch"),
            *block(16, 4),  # 31 -> 28
            layers.MaxPooling2D(2),  # 28 -> 14
            *block(24, 3),  # 14 -> 12
            *block(24, 3),  # 12 -> 10
            layers.MaxPooling2D(2),  # 10 -> 5
            layers.Flatten(),
            layers.Dense(48, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(3, activation="softmax", name="class"),
        ],
        name="cells31",
    )


def preprocessed(image: np.ndarray, steps: tuple[str, ...]) -> np.ndarray:
    """Run the sample's own preprocessing on the whole image, as the program does before it segments."""
    frame = preprocess.prepare(MemorySource(image.astype(np.float32)), preprocess.parse(steps))
    return frame.read(frame.everything())


def columns_of(sample: Sample, chosen: slice) -> Ground:
    """Return the tissue with its teacher's labels, only some columns of which may be used."""
    assert sample.teacher is not None
    labels = sample.teacher()
    usable = np.zeros(labels.shape, bool)
    usable[:, chosen] = True
    return Ground(preprocessed(sample.image(), sample.preprocess), labels, usable)


def drawn_cells(sample: Sample, seed: int) -> Ground:
    """Return the cells of one seed with their truth."""
    image, truth = fluorescence_cells(seed)
    return Ground(preprocessed(image, sample.preprocess), truth, np.ones(truth.shape, bool))


def patches_of(image: np.ndarray) -> np.ndarray:
    """View the image as ``(row, col, patch row, patch col, channel)``, the border reflected as in the program."""
    after = PATCH - 1 - HALF
    padded = np.pad(image, ((HALF, after), (HALF, after), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(0, 1))
    return np.moveaxis(windows, 2, -1)


class BalancedPatches(keras.utils.PyDataset):
    """As many patches of each class in every batch, from places drawn anew, each batch flipped and turned anew."""

    def __init__(self, grounds: list[Ground], patches: int, batch: int = 96, **options: Any) -> None:
        super().__init__(**options)
        self.views = [patches_of(ground.image) for ground in grounds]
        labels = np.stack([np.where(ground.usable, ground.labels, 0) for ground in grounds])
        self.places = [np.argwhere(labels == value) for value in (1, 2, 3)]  # each (image, row, col)
        self.batches, self.per_class = patches // batch, batch // 3
        self.rng = np.random.default_rng(SEED)

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = [places[self.rng.integers(len(places), size=self.per_class)] for places in self.places]
        # P is odd, so turning and flipping a patch leaves its centre pixel in the centre.
        patches = np.stack([self.views[number][row, col] for number, row, col in np.concatenate(drawn)])
        patches = np.rot90(patches, self.rng.integers(4), axes=(1, 2))
        if self.rng.integers(2):
            patches = patches[:, :, ::-1]
        return np.ascontiguousarray(patches), np.repeat(np.arange(3), self.per_class)


def train(task: Task, sample: Sample) -> keras.Model:
    """Return the trained network without what only training needs."""
    keras.utils.set_random_seed(SEED)
    data = BalancedPatches(task.training(sample), task.patches)
    model = task.build()
    steps = len(data) * task.epochs
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps, alpha=0.01)
    # Compiling for XLA costs more than it saves in so short a training.
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    model.fit(data, epochs=task.epochs, shuffle=False, verbose=2)
    bare = task.build()  # never compiled, so the file holds no optimizer
    bare.set_weights(model.get_weights())
    return bare


def predicted(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """Label every pixel, patch by patch, four rows at a time."""
    views = patches_of(image)
    strips = (views[start : start + 4].reshape(-1, *views.shape[2:]) for start in range(0, len(views), 4))
    classes = np.concatenate([model.predict_on_batch(strip).argmax(-1) for strip in strips])
    return classes.reshape(views.shape[:2]) + 1


def scores_of(labels: np.ndarray, ground: Ground, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Pixel accuracy and Dice of every class on the usable pixels."""
    found, wanted = labels[ground.usable], ground.labels[ground.usable]
    dice = {}
    for value, name in enumerate(class_names, start=1):
        here, there = found == value, wanted == value
        dice[name] = round(2 * float((here & there).sum() / (here.sum() + there.sum())), 4)
    return {"pixels": int(found.size), "pixel_accuracy": round(float((found == wanted).mean()), 4), "dice": dice}


def cells_found(labels: np.ndarray, truth: np.ndarray) -> dict[str, int]:
    """Count the cells whose interior is one predicted piece that overlaps it by more than half (IoU > 0.5)."""
    pieces, count = ndimage.label(labels == 3)
    instances = np.where(truth == 3, cell_instances(CELLS_SEED), 0)
    together = np.zeros((instances.max() + 1, count + 1), np.int64)
    np.add.at(together, (instances.ravel(), pieces.ravel()), 1)
    either = together.sum(1, keepdims=True) + together.sum(0, keepdims=True) - together
    matched = int((together / np.maximum(either, 1) > 0.5)[1:, 1:].sum())
    return {"cells": len(np.unique(instances)) - 1, "cells_found": matched, "pieces_predicted": int(count)}


def measured(name: str, task: Task) -> dict[str, Any]:
    """Train, save, load again, score."""
    sample = SAMPLES[name]
    began = time.perf_counter()
    model = train(task, sample)
    seconds = time.perf_counter() - began
    model.save(sample.model_path)
    ground = task.held_out(sample)
    labels = predicted(keras.saving.load_model(sample.model_path, compile=False), ground.image)
    record = {"data": task.data, "learned_from": sample.learned_from, "parameters": model.count_params()}
    record |= {"training_patches": task.patches * task.epochs, "training_seconds": round(seconds)}
    record |= {"held_out": scores_of(labels, ground, sample.class_names)}
    if name == "cells":
        record["held_out"] |= cells_found(labels, ground.labels)
    record |= {"date": datetime.date.today().isoformat(), "command": f"python tools/train_samples.py {name}"}
    return record | {"versions": versions(), "file_bytes": sample.model_path.stat().st_size}


TASKS = {
    "tissue": Task(
        tissue_network,
        lambda sample: [columns_of(sample, slice(0, TEACHER_COLUMNS))],
        # One patch of columns between the two parts is left out, so that no held-out patch shares a pixel with a
        # training patch.
        lambda sample: columns_of(sample, slice(TEACHER_COLUMNS + PATCH, None)),
        f"Trained on the columns left of {TEACHER_COLUMNS} of the sample image, where the teacher's thresholds were "
        f"set too. Scored against the same teacher on the columns from {TEACHER_COLUMNS + PATCH} on: no patch there "
        "shares a pixel with a training patch.",
        patches=24_000,
        epochs=5,
    ),
    "cells": Task(
        cells_network,
        lambda sample: [drawn_cells(sample, seed) for seed in CELLS_TRAINING_SEEDS],
        lambda sample: drawn_cells(sample, CELLS_SEED),
        f"Trained on images drawn with the seeds {', '.join(map(str, CELLS_TRAINING_SEEDS))}. Scored against the "
        f"truth on every pixel of the sample image, seed {CELLS_SEED}.",
        patches=24_000,
        epochs=6,
    ),
}


def versions() -> dict[str, str]:
    """Return what took part, with its version."""
    import tensorflow as tf

    modules = {"keras": keras, "tensorflow": tf, "numpy": np, "scipy": scipy, "scikit-image": skimage}
    return {"python": platform.python_version()} | {name: module.__version__ for name, module in modules.items()}


def readme_lines(records: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Tell in Markdown what ``scores.json`` holds."""
    yield from ("# Sample models", "", "Written by `tools/train_samples.py`; do not edit.")
    for name, record in sorted(records.items()):
        held_out = record["held_out"]
        yield from ("", f"## `{SAMPLES[name].model_path.name}`", "", record["learned_from"], "", record["data"], "")
        yield from ("| measured on held-out pixels | |", "|---|---|", f"| pixels | {held_out['pixels']:,} |")
        yield f"| pixel accuracy | {held_out['pixel_accuracy']:.4f} |"
        yield from (f"| Dice, {label} | {dice:.4f} |" for label, dice in held_out["dice"].items())
        if "cells" in held_out:
            found = f"{held_out['cells_found']} of {held_out['cells']}"
            yield f"| cells found (interior in one piece, IoU > 0.5) | {found} |"
            yield f"| pieces predicted | {held_out['pieces_predicted']} |"
        used = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
        yield ""
        yield (
            f"{record['parameters']:,} parameters. {record['training_patches']:,} patches of {PATCH} x {PATCH}, "
            f"balanced over the classes; {record['training_seconds']} s of training. `{record['command']}`, "
            f"{record['date']}, {used}."
        )


def main() -> None:
    """Train what the command line names and bring both reports up to date."""
    parser = argparse.ArgumentParser(description="Train and score the models of the samples.")
    parser.add_argument("which", nargs="?", choices=[*TASKS, "all"], default="all")
    which = parser.parse_args().which
    MODELS.mkdir(parents=True, exist_ok=True)
    scores = MODELS / "scores.json"
    for name in TASKS if which == "all" else [which]:
        record = measured(name, TASKS[name])
        print(name, json.dumps(record["held_out"], indent=2))
        records = (json.loads(scores.read_text()) if scores.exists() else {}) | {name: record}
        scores.write_text(json.dumps(records, indent=2, sort_keys=True) + "\n")
        (MODELS / "README.md").write_text("\n".join(readme_lines(records)) + "\n")


if __name__ == "__main__":
    main()
