"""What workers of a test's cluster are given to do."""

from __future__ import annotations

import os
import time
from typing import Any


def answer(number: int) -> dict[str, Any]:
    """Answer."""
    return {"number": number, "pid": os.getpid()}


def fail(number: int) -> dict[str, Any]:
    """Have a trouble."""
    return {"trouble": f"Number {number} is cursed."}


def wait(number: int) -> dict[str, Any]:
    """Answer after a while."""
    time.sleep(30)
    return {"number": number}
