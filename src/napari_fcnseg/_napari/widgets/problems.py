"""Report errors to the user without ending the session."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error

from napari_fcnseg._napari.widgets.worker import is_expected


def notify_error(error: Exception) -> str:
    """Notify the user of an error and return the sentence for the dock; a bug keeps its traceback."""
    if is_expected(error):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
    return error_sentence(error)


def error_sentence(error: Exception) -> str:
    """Return an error as a sentence for the user, be it one or a fault of the program."""
    unexpected = f"Unexpected error, please report it: {type(error).__name__}: {error}"
    return str(error) if is_expected(error) else unexpected
