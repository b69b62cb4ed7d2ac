"""Open Zarr images on other computers, by their addresses, and find out which array is read from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.omezarr import image_in
from napari_fcnseg.imagefile.remote.problems import AnswerError, is_absent
from napari_fcnseg.imagefile.remote.sources import FsSource, bucket_source, web_source
from napari_fcnseg.system.addresses import SCHEMES, is_elsewhere, protocol_of, shown
from napari_fcnseg.system.saving import arrays_behind

if TYPE_CHECKING:
    from napari_fcnseg.imagefile.image import ImageFile
    from napari_fcnseg.imagefile.remote.store import RemoteStore

SECONDS: Final = 30.0  # that an answer is waited for
_EXTRA: Final = 'Install it: pip install "napari-fcnseg[remote]".'


def open_store(address: str, seconds: float = SECONDS) -> RemoteStore:
    """Return the store at an address; nothing is asked for yet.

    Raises
    ------
    ImageError
        If what reads it is not installed, or it is no address.
    """
    parts = urlsplit(address)
    if not parts.hostname:
        raise ImageError(f"{shown(address)} is no address of an image. Write it as https://example.org/image.zarr.")
    try:
        return _opened(address, seconds)
    except ImportError as error:
        missing = error.name or "fsspec"
        raise ImageError(
            f"{shown(address)} cannot be read: what reads {parts.scheme}:// ({missing.partition('.')[0]}) is not "
            f"installed. {_EXTRA}"
        ) from None


def _opened(address: str, seconds: float, *, anonymous: bool = False) -> RemoteStore:
    from napari_fcnseg.imagefile.remote.store import RemoteStore

    bucket = address.startswith("s3:")
    source = bucket_source(address, seconds, anonymous=anonymous) if bucket else web_source(address, seconds)
    return RemoteStore(source, source.fs, address, seconds, listing=bucket)


def read_remote(address: str, series: int | None = None, seconds: float = SECONDS) -> ImageFile:
    """Open the Zarr array or the OME-Zarr image at an address; no pixel is read.

    Parameters
    ----------
    address : str
        ``https://…``, ``http://…`` or ``s3://bucket/…``.
    series : int, optional
        Which of its images.
    seconds : float
        How long an answer is waited for.

    Raises
    ------
    ImageError
        If there is none, or it cannot be read; the sentence says why.
    """
    store = open_store(address, seconds)
    node = _node(store, seconds)
    store = node.store
    try:
        return image_in(shown(address), node, series)
    except ImageError:
        raise
    except Exception as error:  # what others wrote may be anything
        if (said := _doubted(store)) is not None:
            raise said from error
        raise ImageError(
            f"{shown(address)} cannot be read as a Zarr image: its description is damaged, or of another kind "
            f"({' '.join(str(error).split())[:120] or type(error).__name__}). Ask whoever keeps it."
        ) from error


def open_array(address: str, inside: str) -> Any:
    """Open the Zarr array in a store at an address.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    import zarr

    store = open_store(address)
    _node(store, SECONDS, inside)
    return zarr.open_array(store, path=inside, mode="r")


def _node(store: RemoteStore, seconds: float, inside: str = "") -> Any:
    """Open what a store holds."""
    import zarr

    try:
        return zarr.open(store, path=inside, mode="r")
    except ImageError as error:
        if type(error.__cause__).__name__ == "NoCredentialsError":  # then the bucket may be open to everybody
            return _node(_opened(store.address, seconds, anonymous=True), seconds, inside)
        raise
    except Exception as error:
        if (said := _doubted(store)) is not None:
            raise said from error
        raise _nothing(store, error) from error


def _doubted(store: RemoteStore) -> ImageError | None:
    """Return why a description could not be read that there may be; None where none was missing but by a 404."""
    doubted = [(key, error) for key, error in store.doubts.items() if not is_absent(error)]
    pages = [(key, error) for key, error in doubted if isinstance(error, AnswerError) and error.reason]
    return store.problem("", (pages or doubted)[0][1]) if doubted else None


def _nothing(store: RemoteStore, error: Exception) -> ImageError:
    """Return what is to be said where there is no Zarr image."""
    where = shown(store.address)
    name = where.rpartition("/")[2]
    if store.doubts:
        if "." in name and "/" in where.partition("://")[2] and not name.lower().endswith(".zarr"):
            return ImageError(
                f"{where} is no Zarr image, and at an address only those are read. Download the file, and open it here."
            )
        return ImageError(
            f"There is no Zarr image at {where}: neither zarr.json nor .zarray nor .zgroup is there. Check the address."
        )
    said = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"{where} cannot be read as a Zarr image ({said[:120]}). Ask whoever keeps it.")


def is_remote(array: Any) -> bool:
    """Whether an array is one of Zarr in a store of fsspec on another computer."""
    return hasattr(array, "metadata") and is_elsewhere(getattr(array, "store", None))


def remote_arrays(*arrays: Any) -> tuple[Any, ...]:
    """Return the Zarr arrays in stores of fsspec that arrays are read from when they are looked into."""
    found = (array for array in arrays_behind(*arrays) if is_remote(array))
    return tuple({id(array): array for array in found}.values())


def address_in(store: Any) -> str:
    """Return the address of a store of fsspec; empty where another process could not open it by that."""
    if (address := getattr(store, "address", None)) is not None:
        return str(address)
    protocol, path = protocol_of(store.fs), str(store.path)
    if protocol in ("s3", "s3a"):
        return f"s3://{path}"
    return path if protocol in SCHEMES and path.startswith(("http://", "https://")) else ""


def shown_address(array: Any) -> str:
    """Return the address of a Zarr array in a store of fsspec, as it may be written down."""
    store = array.store
    address = address_in(store) or f"{protocol_of(store.fs)}://{str(store.path).lstrip('/')}"
    return "/".join(filter(None, (shown(address), str(array.path))))


def identity_of_remote(array: Any) -> dict[str, Any]:
    """Return what tells a Zarr array in a store of fsspec from any other, as plain data.

    Raises
    ------
    ImageError
        If it cannot be looked at.
    """
    from napari_fcnseg.imagefile.remote.store import RemoteStore, identity_of_array

    store = array.store
    if isinstance(store, RemoteStore):
        return identity_of_array(array, store)
    address = address_in(store)
    if address.startswith("http"):
        return identity_of_array(array, open_store(address))
    address = address or f"{protocol_of(store.fs)}://{str(store.path).lstrip('/')}"
    source = FsSource(store.fs, str(store.path), address)
    return identity_of_array(array, RemoteStore(source, store.fs, address, SECONDS))
