"""What went wrong, told to the user; nothing ends the session."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error

from napari_fcnseg._napari.running.job import is_expected


def tell(error: Exception) -> str:
    """Notify the user of an error and return the sentence for the dock; a fault of the program keeps its traceback."""
    if is_expected(error):
        show_error(str(error))
        return str(error)
    notification_manager.receive_error(type(error), error, error.__traceback__)
    return f"Something went wrong that should not have: {type(error).__name__}: {error}"
