"""The dense form of a patch model, to be run or written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.conversion.converter import squares
from napari_fcnseg.conversion.strided import subsampled
from napari_fcnseg.engine import engine
from napari_fcnseg.errors import ConversionError, OutputError
from napari_fcnseg.system.saving import Inputs, Plan, save_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_fcnseg.conversion import ConversionReport, DenseNetwork


def check_squares(network: DenseNetwork, name: str, sidecar: str) -> None:
    """Refuse numbers that may be the labels of a square of pixels and not classes.

    Parameters
    ----------
    network : DenseNetwork
        The converted network.
    name, sidecar : str
        Of the model, and of the file that can say otherwise.
    """
    edge = squares(network)
    if edge is not None:
        raise ConversionError(
            f"Model {name!r} answers {network.outputs} numbers without a softmax, perhaps the labels of a "
            f"square of {edge} × {edge} pixels in the middle of the patch and not {network.outputs} classes. This "
            "program labels one pixel per patch: choose a patch classifier. If they are classes, write "
            f'"outputs_are": "classes" into {sidecar}.'
        )


class FCN:
    """The dense (fully convolutional) form of a patch model: the same numbers at every pixel in one pass.

    Parameters
    ----------
    network : DenseNetwork
        The converted network.
    files : sequence of Path
        What the patch model was read from.
    model : PatchModel, optional
        The patch model, to package it with its dense network.
    """

    def __init__(self, network: DenseNetwork, files: Sequence[Path] = (), model: Any = None) -> None:
        self.network = network
        self._files = tuple(files)
        self._model = model
        self._subsampled = {1: network}

    def subsampled(self, every: int) -> DenseNetwork:
        """Return the network that answers at every ``every``-th pixel along each axis alone, with less work."""
        if every not in self._subsampled:
            self._subsampled[every] = subsampled(self.network, (every,) * len(self.patch_shape))
        return self._subsampled[every]

    @property
    def report(self) -> ConversionReport:
        """What became of each layer, and what it costs."""
        return self.network.report

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Spatial shape of a patch."""
        return self.network.patch_shape

    def to_keras(self) -> Any:
        """Return the dense network as a ``keras.Model``, in this process.

        It takes images ``(1, *spatial, channel)`` and returns ``(1, *(spatial - network.reach + 1), class)``. This
        imports Keras: in a napari session use :meth:`save` instead.
        """
        from napari_fcnseg.engine.keras_export import dense_keras_model

        return dense_keras_model(self.network)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the dense network as a ``.keras`` or an ``.onnx`` file.

        ``keras.models.load_model`` opens the first after ``import napari_fcnseg.engine.layers``, which has its layers.
        The second holds ONNX's own operations alone: it takes ``image`` ``(1, *spatial, channel)`` of any size and
        returns ``answer`` ``(1, *(spatial - reach + 1), output)``; ``reach`` is in its metadata.

        A file of that name is replaced with ``overwrite`` alone, and the patch model itself never is.

        Raises
        ------
        OutputError
            If the name has another ending, the network has no dense form, or the file cannot be written or is there
            already.
        """
        target = Path(path)
        if target.suffix not in (".keras", ".onnx"):
            raise OutputError(
                f"The converted network is written as a .keras or an .onnx file: choose {target.stem}.keras or "
                f"{target.stem}.onnx."
            )
        if not self.network.steps:
            raise OutputError(
                f"The dense form of the model {self.network.name!r} would be far larger than the model itself: there "
                "is none to write. Use the model as it is, patch by patch."
            )
        with Plan((target,), Inputs(self._files), overwrite=overwrite).claim():
            write = self._write_onnx if target.suffix == ".onnx" else self._write_keras
            save_whole(target, write, overwrite=overwrite)
        return target

    def package(self, path: str | os.PathLike[str], **settings: Any) -> Path:
        """Write the dense network as a bioimage.io package; see :func:`napari_fcnseg.write_package`.

        Parameters
        ----------
        path : path
            A ``.zip`` file.
        **settings
            ``licence``, ``authors``, ``image`` and the others of :func:`napari_fcnseg.write_package`.
        """
        from napari_fcnseg import write_package  # by its public name: what it does stands above this room

        if self._model is None:
            raise OutputError("A dense network alone cannot be packaged: convert a patch model with convert().")
        return write_package(self._model, path, **settings)

    def _write_keras(self, part: Path) -> None:
        engine().save(self.network, part.absolute())

    def _write_onnx(self, part: Path) -> None:
        from napari_fcnseg.engine.onnx_graph.dense_model import dense_model

        try:
            part.write_bytes(dense_model(self.network))
        except ValueError as error:
            raise OutputError(f"The converted network could not be written to {part}: {error}.") from None
