"""What is said when an image on another computer cannot be read."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.addresses import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING: Final = 404
_MAY_PASS: Final = (408, 425, 429, 500, 502, 503, 504)
_FORBIDDEN: Final = (401, 403, 407)
_AGAIN: Final = "Check the network, and try again."


class AnswerError(Exception):
    """A server answered, and not with what was asked for.

    Parameters
    ----------
    status : int
        What it answered; 0 where the answer was of the right kind and the content was not.
    reason : str
        What is wrong with the content, as the end of a sentence that begins with its address.
    """

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


def is_absent(error: BaseException) -> bool:
    """Whether an error says that a file is not there, and not that it may not be read."""
    return isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError) or (
        isinstance(error, AnswerError) and error.status == MISSING
    )


def is_refused(error: BaseException) -> bool:
    """Whether an error says that a file may not be read."""
    return isinstance(error, PermissionError) or (isinstance(error, AnswerError) and error.status in _FORBIDDEN)


def may_pass(error: BaseException) -> bool:
    """Whether asking again may help."""
    if isinstance(error, AnswerError):
        return error.status in _MAY_PASS
    return not is_refused(error) and not is_absent(error) and not isinstance(error, ssl.SSLCertVerificationError)


def problem(address: str, error: BaseException, seconds: float, tries: int = 1) -> ImageError:
    """Return the error for something on another computer that cannot be read.

    Parameters
    ----------
    address : str
        Of what was asked for.
    error : Exception
        What fsspec, or what it is built on, raised.
    seconds : float
        How long an answer was waited for.
    tries : int
        How often it was asked.
    """
    where, host = shown(address), urlsplit(shown(address)).netloc
    bucket = address.startswith("s3:")
    server = f"the bucket {host}" if bucket else host
    often = f", {tries} times" if tries > 1 else ""
    if isinstance(error, AnswerError) and error.reason:
        return ImageError(f"{where} {error.reason}")
    if is_refused(error):
        return ImageError(
            f"{where} cannot be read: {server} refuses it{_status(error)}. Ask whoever keeps it for permission, or "
            "check your credentials."
        )
    if is_absent(error):
        return ImageError(f"{where} is not there: check the address.")
    if isinstance(error, AnswerError):
        return ImageError(f"{where} cannot be read: {server} failed{_status(error)}{often}. Try again later.")
    causes = list(_causes(error))
    if any(isinstance(one, socket.gaierror) or "DNS" in type(one).__name__ for one in causes):
        return ImageError(
            f"{where} cannot be read: there is no computer called {host}. Check the address and the network."
        )
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in causes):
        return ImageError(
            f"{where} is not read: the certificate of {host} is not trusted. Ask whoever keeps that server."
        )
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return ImageError(
            f"{where} cannot be read: {host} refuses the connection{often}. Check the address, or start its server."
        )
    if any(isinstance(one, TimeoutError) or "Timeout" in type(one).__name__ for one in causes):
        return ImageError(f"{where} cannot be read: {server} did not answer within {seconds:g} s{often}. {_AGAIN}")
    if any(isinstance(one, ConnectionError) or _is_cut(one) for one in causes):
        return ImageError(f"{where} cannot be read: the connection to {server} was lost{often}. {_AGAIN}")
    if bucket and isinstance(error, OSError) and error.errno is not None:  # as s3fs says what the store answered
        return ImageError(f"{where} cannot be read: {server} failed ({error.strerror}){often}. Try again later.")
    said = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"{where} cannot be read{often} ({said[:120].replace(address, where)}). {_AGAIN}")


def _status(error: BaseException) -> str:
    return f" ({error.status})" if isinstance(error, AnswerError) else ""


def _is_cut(error: BaseException) -> bool:
    return type(error).__name__ in (
        "ClientPayloadError", "ClientOSError", "ServerDisconnectedError", "EndpointConnectionError",
        "ConnectionClosedError", "IncompleteReadError", "ResponseStreamingError",
    )  # fmt: skip


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        inner = getattr(one, "os_error", None)
        waiting += [one.__cause__, one.__context__, inner if isinstance(inner, BaseException) else None]
    yield from seen
