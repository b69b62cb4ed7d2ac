"""What there is to do, as plain data: a worker makes the same plan of it as the head."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.arrays.frame_source import ChannelStack, FirstChannels, Reordered, first_channels, transposed
from napari_fcnseg.arrays.rescaled import Grid, rescaled
from napari_fcnseg.errors import InMemoryError, SettingsError
from napari_fcnseg.imagefile.remote.opening import address_in, is_remote, open_array
from napari_fcnseg.run.provenance import version
from napari_fcnseg.system.addresses import address_of, is_elsewhere
from napari_fcnseg.system.formatting import format_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.run_plan import RunPlan

#: Of the data that head and workers exchange; both have to be of one version of this program.
FORMAT: Final = 1
_MOST_SENT: Final = 2**26  # bytes of a model's files that are sent to a worker that does not see them
_CORNER: Final = 64  # pixels per axis that are compared


def place_of(array: Any, what: str = "image") -> dict[str, Any]:
    """Return where an array lies, as plain data that another process can open (:func:`opened`).

    Parameters
    ----------
    array : array_like
        A Zarr array in a folder or at an address, or a Dask array of one; an array in an HDF5 file; a memory map of a
        whole .npy file; several of these as channels; or one with other axes or its first channels only.
    what : str
        What it is, for a sentence: ``"image"``, ``"labels"``.

    Raises
    ------
    InMemoryError
        If it is only in memory.
    """
    if isinstance(array, Reordered):
        return {"order": list(array.order), "of": place_of(array.array, what)}
    if isinstance(array, FirstChannels):
        return {"first": array.count, "axis": array.axis, "of": place_of(array.array, what)}
    array = _within(array)
    if isinstance(array, ChannelStack):
        return {"channels_of": [place_of(one, what) for one in array.arrays]}
    if is_remote(array) and (address := address_in(array.store)):
        return {"address": address, "inside": str(array.path)}
    store = getattr(array, "store", None)
    root = getattr(store, "root", None) or getattr(store, "path", None)
    if root is not None and hasattr(array, "metadata") and not is_elsewhere(store) and Path(root).is_dir():
        return {"zarr": str(Path(root).resolve()), "inside": str(array.path)}
    name = getattr(getattr(array, "file", None), "filename", None)
    if name is not None and hasattr(array, "name") and hasattr(array, "chunks"):
        return {"files": [f"{Path(name).resolve()}{array.name}"], "series": None, "channels": None, "indices": False}
    file = getattr(array, "filename", None)
    if isinstance(array, np.memmap) and file is not None and Path(file).suffix == ".npy" and array.offset:
        order = "C" if array.flags.c_contiguous else "F"
        return {"mapped": str(Path(file).resolve()), "offset": int(array.offset), "dtype": array.dtype.str,
                "shape": list(array.shape), "order": order}  # fmt: skip
    verb, it = ("are", "them") if what.endswith("s") else ("is", "it")
    raise InMemoryError(
        f"The {what} {verb} only in this computer's memory, and the workers cannot read {it}. Save {it} as Zarr in a "
        "folder that they see (in Python zarr.save_array), and open that."
    )


def place_of_files(
    paths: Sequence[Any], series: int | None, channels: int | None, *, indices: bool = False
) -> dict[str, Any]:
    """Return where an image lies that was read from files (:func:`napari_fcnseg.imagefile.read_image`)."""
    files = [address_of(path) or str(Path(path).absolute()) for path in paths]
    return {"files": files, "series": series, "channels": channels, "indices": indices}


def opened(place: Mapping[str, Any]) -> Any:
    """Open what :func:`place_of` or :func:`place_of_files` has described; no pixel is read of what is large.

    So is what :meth:`napari_fcnseg.run.rescaling.Rescaling.place` has made of that.
    """
    if "channels_of" in place:
        return ChannelStack([opened(one) for one in place["channels_of"]])
    if "order" in place:
        return transposed(opened(place["of"]), place["order"])
    if "grid" in place:
        return rescaled(opened(place["of"]), place["axes"], Grid(*map(tuple, place["grid"])))
    if "first" in place:
        return first_channels(opened(place["of"]), place["axis"], place["first"])
    if "address" in place:
        return open_array(place["address"], place["inside"])
    if "zarr" in place:
        import zarr

        return zarr.open_array(place["zarr"], path=place["inside"], mode="r")
    if "mapped" in place:
        shape, dtype = tuple(place["shape"]), np.dtype(place["dtype"])
        return np.memmap(place["mapped"], dtype, "r", place["offset"], shape, place["order"])
    from napari_fcnseg.imagefile import read_image

    image = read_image(place["files"], place["series"], indices=place["indices"])
    return image.data if place["channels"] is None else image.for_model(place["channels"]).data


def folder_of(place: Mapping[str, Any]) -> Path | None:
    """Return the folder that an array lies in; None of one on another computer."""
    if "channels_of" in place:
        return folder_of(place["channels_of"][0])
    if "of" in place:
        return folder_of(place["of"])
    if "address" in place or ("files" in place and address_of(place["files"][0])):
        return None
    return Path(place.get("zarr") or place.get("mapped") or place["files"][0]).parent


def seen_under(place: Mapping[str, Any]) -> str:
    """Return the names under which an array is looked for."""
    if "channels_of" in place:
        return ", ".join(map(seen_under, place["channels_of"]))
    if "of" in place:
        return seen_under(place["of"])
    return str(place.get("zarr") or place.get("mapped") or place.get("address") or ", ".join(place.get("files", ())))


def _within(array: Any) -> Any:
    """Return the array that a Dask array is read from, where it is that array as a whole; any other as it is."""
    layers = getattr(getattr(array, "dask", None), "layers", {})
    if len(layers) != 2:  # what it is read from, and how
        return array
    single = [next(iter(dict(layer).values())) for layer in layers.values() if len(layer) == 1]
    same = (one for one in single if getattr(one, "shape", None) == array.shape and hasattr(one, "store"))
    return next(same, array)


def look_at(array: Any) -> dict[str, Any]:
    """Return what tells whether two processes see the same array: its shape, type, and the pixels at its end."""
    corner = tuple(slice(max(n - _CORNER, 0), n) if n > 1 else slice(0, 1) for n in array.shape[-3:])
    first = tuple(slice(n - 1, n) for n in array.shape[: len(array.shape) - len(corner)])
    pixels = np.ascontiguousarray(np.asarray(array[(*first, *corner)]))
    return {
        "shape": [int(n) for n in array.shape],
        "dtype": np.dtype(array.dtype).str,
        "crc": zlib.crc32(pixels.data.cast("B")),
    }


def make_order(
    plan: RunPlan, image: Mapping[str, Any], mask: Mapping[str, Any] | None, data: Any
) -> dict[str, Any]:  # fmt: skip
    """Return what a worker needs to make the same plan.

    Parameters
    ----------
    plan : RunPlan
        The head's plan; its tiles are said with each block. Its ways of computing are those of all workers.
    image, mask : mapping
        Where they lie.
    data : array_like
        The image as the head sees it.

    Raises
    ------
    SettingsError
        If a model was not read from a file.
    """
    settings = {name: value for name, value in plan.settings.as_dict().items() if name != "tile"}
    settings["ways"] = plan.ways if any(plan.ways) else None
    return order_of(
        plan.models, settings, image=dict(image), look=look_at(data), mask=dict(mask) if mask is not None else None,
        methods=[method.name for method in plan.methods],
    )  # fmt: skip


def order_of(models: Sequence[PatchModel], settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return what any worker needs (:class:`napari_fcnseg.run.cluster.model_bench.ModelBench`), as plain data.

    Parameters
    ----------
    models : sequence of PatchModel
        What computes.
    settings : mapping
        What the user chose, as plain data.
    **more
        What else there is to say, as plain data.

    Raises
    ------
    SettingsError
        If a model was not read from a file.
    """
    order = {
        "format": FORMAT,
        "program": version("napari-fcnseg"),
        "models": [_model(model) for model in models],
        "settings": dict(settings),
        **more,
    }
    plain: dict[str, Any] = json.loads(json.dumps(order))
    return plain


def key_of(order: Mapping[str, Any]) -> str:
    """Return what an order is known by."""
    return hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()[:32]


def _model(model: PatchModel) -> dict[str, Any]:
    if model.path is None:
        raise SettingsError(f"The model {model.name!r} is only in memory. Save it first: model.save('NAME.keras').")
    return {
        "path": str(model.path.absolute()),
        "sha256": model.sha256,
        "output": model.output if model.outputs else None,
        "patch_shape": list(model.patch_shape),
    }


def files_of(model: PatchModel) -> dict[str, bytes]:
    """Return a model's files with their contents, by their names relative to the model's folder.

    Raises
    ------
    SettingsError
        If they are too large to be sent.
    """
    assert model.path is not None, "it was read from a file"
    folder = model.path.parent
    names = [path for path in model.files if path.is_file()]
    size = sum(path.stat().st_size for path in names)
    if size > _MOST_SENT:
        raise SettingsError(
            f"A worker does not see the model {model.path}, and with {format_bytes(size)} it is too large to be sent. "
            "Copy it to the same path there, or to a folder that all see."
        )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}
