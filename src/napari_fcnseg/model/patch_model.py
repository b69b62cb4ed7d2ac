"""A trained patch model, and its dense form."""

from __future__ import annotations

import os
from collections.abc import Sequence  # noqa: TC003 - part of an alias that is read at run time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.conversion.memory import patch_batch
from napari_fcnseg.engine import engine
from napari_fcnseg.errors import ImageError, OutputError, SettingsError
from napari_fcnseg.graph.pixel_network import PixelNetwork
from napari_fcnseg.model.fcn import FCN, check_squares
from napari_fcnseg.model.identity import sha256_of
from napari_fcnseg.model.patch_size import check_sizes
from napari_fcnseg.model.pixel_form import PixelForm, check_together, not_converted
from napari_fcnseg.model.sidecar import (
    Sidecar,
    default_names,
    palette,
    read_options,
    sidecar_for,
    sidecar_path,
    sidecar_within,
    values,
)
from napari_fcnseg.readers.options import ReadOptions
from napari_fcnseg.readers.sandbox import read_models
from napari_fcnseg.system.json_file import MAX_BYTES, write_json
from napari_fcnseg.system.saving import Inputs, Plan, stage

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.model.pixel_form import Form


class PatchModel:
    """A trained network that classifies the centre pixel of a patch.

    Parameters
    ----------
    network : Network or PixelNetwork
        The network as data; one that labels every pixel by itself is run as it is.
    path : Path, optional
        Where it was read from.
    sha256 : str
        Of the file's contents.
    output : str
        Which of :attr:`outputs` it is; empty where there is only one.
    outputs_are_classes : bool
        Whether a square number of outputs is known to be classes.
    """

    def __init__(
        self,
        network: Network | PixelNetwork,
        path: Path | None = None,
        sha256: str = "",
        output: str = "",
        outputs_are_classes: bool = False,
    ) -> None:
        self._outputs_are_classes = outputs_are_classes
        self.source = network
        self.path = path
        self.sha256 = sha256
        self.output = output or (network.outputs[0] if network.outputs else "")

    @property
    def network(self) -> Network:
        """The patch network as data; a ConversionError where the model labels every pixel by itself."""
        if isinstance(self.source, PixelNetwork):
            raise not_converted(self.name)
        return self.source

    @property
    def labels_every_pixel(self) -> bool:
        """Whether the model labels every pixel by itself, as a U-Net does: it is run as it is, not converted."""
        return isinstance(self.source, PixelNetwork)

    @cached_property
    def form(self) -> Form:
        """What the model gives at each pixel."""
        return PixelForm.of(self.source) if isinstance(self.source, PixelNetwork) else self.fcn.network

    @property
    def name(self) -> str:
        """The file's name without its ending, or the network's own name."""
        return self.path.stem if self.path is not None else self.source.name

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Spatial shape of a patch. It speaks for the pixel at ``patch_shape // 2``, for odd and even shapes alike."""
        return self.source.patch_shape

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.source.channels

    @property
    def outputs(self) -> tuple[str, ...]:
        """The model's answers by name, where it has several; :func:`load_model` takes one of them."""
        return self.source.outputs

    @property
    def classes(self) -> int:
        """Number of classes. A network with a single output number tells two apart."""
        return self.form.classes

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the model and its sidecar, which are never overwritten."""
        if self.path is None:
            return ()
        folder = self.path if self.path.is_dir() else self.path.parent
        return (self.path, *(folder / name for name in self.source.files), sidecar_path(self.path))

    @cached_property
    def sidecar(self) -> Sidecar | None:
        """What ``NAME.fcnseg.json`` beside the file says, or the file itself, found to fit; None if neither does."""
        if self.path is None:
            return None
        beside = sidecar_for(self.path, output=self.output, **self._numbers)
        return self.own_sidecar if beside is None else beside

    @cached_property
    def own_sidecar(self) -> Sidecar | None:
        """What the file itself says, as a package does, found to fit the model; None if nothing."""
        said = self.source.said
        return sidecar_within(self.path, said, **self._numbers) if self.path is not None and said else None

    @property
    def sidecar_place(self) -> Path:
        """The file that :attr:`sidecar` is from, or the one that it would be written into."""
        within = self.path is not None and self.sidecar is not None and self.sidecar is self.own_sidecar
        return self.path if within and self.path is not None else sidecar_path(self.path or self.name)

    @property
    def _numbers(self) -> dict[str, int]:
        return {"classes": self.classes, "channels": self.channels, "spatial": len(self.patch_shape)}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by the sidecar, or their numbers."""
        return (self.sidecar.class_names if self.sidecar else ()) or default_names("class", self.classes)

    @property
    def class_colors(self) -> tuple[str, ...]:
        """Colours of the classes as ``#rrggbb``, by the sidecar, or some that differ."""
        return (self.sidecar.class_colors if self.sidecar else ()) or palette(self.classes, self.class_names)

    @cached_property
    def fcn(self) -> FCN:
        """The dense form of the network (see :func:`convert`)."""
        dense = convert_network(self.network)
        if not self._outputs_are_classes:
            check_squares(dense, self.name, sidecar_path(self.path).name if self.path else "the sidecar")
        return FCN(dense, self.files, self)

    def predict(self, patches: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Apply the patch network itself, without conversion: the reference for all results.

        Parameters
        ----------
        patches : array_like, shape (n, *patch_shape, channels)
            Prepared patches.

        Returns
        -------
        ndarray of float32, shape (n, class)
            The network's own numbers.

        Raises
        ------
        ImageError
            If the shape does not fit.
        """
        x = np.ascontiguousarray(patches, np.float32)
        if x.shape[1:] != self.network.input_shape:
            raise ImageError(
                f"The model takes patches of shape (n, {', '.join(map(str, self.network.input_shape))}), not {x.shape}."
            )
        device = engine().device()
        size = patch_batch(self.fcn.network)
        waiting = [engine().run(self.network, device, x[i : i + size]) for i in range(0, len(x), size)]
        answers = [future.result().reshape(-1, self.fcn.network.outputs) for future in waiting]
        return np.concatenate(answers) if answers else np.zeros((0, self.fcn.network.outputs), np.float32)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the patch network as a ``.keras`` file of Keras's own layers, and its sidecar beside it.

        A file of that name is replaced with ``overwrite`` alone, and what the model was read from never is.

        Raises
        ------
        OutputError
            If the name has another ending, or the file cannot be written or is there already.
        """
        target = Path(path)
        if target.suffix != ".keras":
            raise OutputError(f"A patch model is written as a .keras file: choose {target.stem}.keras.")
        beside = (sidecar_path(target),) if self.sidecar is not None else ()
        plan = Plan((target,), Inputs(self.files), beside, overwrite=overwrite)
        with plan.claim():
            self.write_into(plan)
        return target

    def write_into(self, plan: Plan) -> None:
        """Write the patch network into the first of the files that are claimed, and its sidecar beside it."""
        target = plan.outputs[0]
        staged = stage(target, lambda part: engine().save(self.network, part.absolute()))
        try:
            if self.sidecar is not None:
                write_json(sidecar_path(target), self.sidecar.as_dict(), MAX_BYTES, overwrite=plan.overwrite)
            staged.publish(overwrite=plan.overwrite, inputs=plan.inputs)
        finally:
            staged.discard()

    def __repr__(self) -> str:
        channels = f"{self.channels} channel{'s' * (self.channels > 1)}"
        return f"<PatchModel {self.name!r}: patch {self.patch_shape}, {channels}>"


#: What functions accept as a model.
ModelLike: TypeAlias = "str | os.PathLike[str] | PatchModel"


def load_model(
    path: str | os.PathLike[str],
    output: str | None = None,
    *,
    patch_size: Sequence[int] | None = None,
    ignore_sidecar: bool = False,
) -> PatchModel:
    """Read a trained patch model.

    Parameters
    ----------
    path : path
        A ``.keras`` file; a full ``.h5`` file of Keras 2 or 3; a SavedModel folder of Keras 2; an architecture as
        ``.json`` or its weights as ``.h5``, with the other of the two beside it; an ONNX model as PyTorch exports it;
        weights published with DeepCell in 2016; a bioimage.io package, as a ``.zip`` file, a folder or its
        ``rdf.yaml``. It is parsed; no code in it is ever run, and nothing is fetched. A network that labels every pixel
        by itself is run as it is, from a package with ONNX weights (:attr:`PatchModel.labels_every_pixel`).
    output : str, optional
        Which answer of a model with several (:attr:`PatchModel.outputs`); the first otherwise.
    patch_size : sequence of int, optional
        Sizes of the patch, for a model that takes any; otherwise what its sidecar says.
    ignore_sidecar : bool
        Whether the file is read without what its sidecar says about reading it, as for a sidecar that is damaged and
        about to be replaced.

    Raises
    ------
    ModelFileError
        If it is no model file, or is damaged.
    UnsupportedLayerError
        If it holds a layer that is not known; the error names it.

    Examples
    --------
    >>> import napari_fcnseg as fcn
    >>> from napari_fcnseg.samples import SAMPLES
    >>> model = fcn.load_model(SAMPLES["cells"].model_path)
    >>> model.patch_shape, model.channels, model.classes
    ((31, 31), 2, 3)
    """
    options = [ReadOptions() if ignore_sidecar else read_options(path)]
    return _load([Path(path)], options, [output], patch_size)[0]


def _load(
    paths: Sequence[Path],
    options: Sequence[ReadOptions],
    outputs: Sequence[str | None] | None = None,
    patch_size: Sequence[int] | None = None,
) -> list[PatchModel]:
    if patch_size is not None:
        try:
            sizes = values.patch_size(list(patch_size))
        except ValueError as error:
            raise SettingsError(f"The option {error}.") from None
        options = [replace(said, patch_shape=sizes) for said in options]
    networks = read_models(paths, outputs, options)
    if patch_size is not None:
        check_sizes(networks, sizes)
    chosen = outputs or [None] * len(networks)
    return [
        PatchModel(n, path, sha256_of(path, n.files), (name or "") if n.outputs else "", _are_classes(n, said))
        for n, path, name, said in zip(networks, paths, chosen, options, strict=True)
    ]


def _are_classes(network: Network | PixelNetwork, said: ReadOptions) -> bool:
    """Whether a sidecar, or the one in a package, says that the outputs are classes."""
    return said.outputs_are_classes or network.said.get("outputs_are") == "classes"


def convert(model: ModelLike) -> FCN:
    """Convert a patch model to its dense form.

    The method is that of Li, Zhao and Wang 2014 (arXiv 1412.4526): every stride becomes 1 and every later window is
    dilated by the strides before it.

    Parameters
    ----------
    model : path or PatchModel
        The patch model.

    Raises
    ------
    UnsupportedLayerError
        If a layer has no exact dense form; the error names it, the reason, and what to do.
    ConversionError
        If the network is no patch classifier.

    Examples
    --------
    >>> import napari_fcnseg as fcn
    >>> from napari_fcnseg.samples import SAMPLES
    >>> dense = fcn.convert(SAMPLES["cells"].model_path)
    >>> dense.report.flop_per_patch // dense.report.flop_per_pixel
    38
    """
    return (model if isinstance(model, PatchModel) else load_model(model)).fcn


def as_ensemble(model: ModelLike | Sequence[ModelLike]) -> tuple[PatchModel, ...]:
    """Return the members of an ensemble, converted and found to fit together.

    Raises
    ------
    SettingsError
        If there is none, or they differ in channels, classes, spatial axes or what their last layer gives.
    """
    given: Sequence[ModelLike] = [model] if isinstance(model, str | os.PathLike | PatchModel) else list(model)
    if not given:
        raise SettingsError("No model was chosen. Choose at least one.")
    paths = [Path(m) for m in given if not isinstance(m, PatchModel)]
    read = iter(_load(paths, list(map(read_options, paths))))
    models = tuple(m if isinstance(m, PatchModel) else next(read) for m in given)
    check_together([(model.name, model.form) for model in models])
    return models
