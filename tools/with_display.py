"""Run a command where it can open a window: ``python tools/with_display.py COMMAND [ARGUMENT …]``.

With a screen the command runs as it is. Without one, or when ``NAPARI_FCNSEG_HEADLESS=1`` asks for it, it runs on a
virtual screen of its own (Xvfb), which is stopped afterwards, and finds ``NAPARI_FCNSEG_HEADLESS=1`` among its
variables: nobody is looking, so a program that would wait for its window to be closed should close it itself. The exit
code is the command's own.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADLESS = "NAPARI_FCNSEG_HEADLESS"
SCREEN = "1600x1200x24"
START_SECONDS = 60


def main(arguments: list[str]) -> int:
    """Run the command in ``arguments``, on a virtual display when there is no other."""
    if not arguments:
        print("usage: with_display.py COMMAND [ARGUMENT …]", file=sys.stderr)
        return 2
    if has_display(os.environ):
        return run(arguments, dict(os.environ))
    server = shutil.which("Xvfb")
    if server is None:
        print("There is no display, and no Xvfb to make one: run `make display`, which installs it.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="napari-fcnseg-") as folder:
        with virtual_display(server, Path(folder)) as environment:
            return run(arguments, environment)


def has_display(environment: Mapping[str, str]) -> bool:
    """Whether a window can be opened on a screen that is there already (and nobody asked for a virtual one)."""
    if sys.platform in ("darwin", "win32"):
        return True
    if environment.get(HEADLESS, "") not in ("", "0"):
        return False
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


@contextmanager
def virtual_display(server: str, folder: Path) -> Iterator[dict[str, str]]:
    """Start Xvfb on a free display number; yield the environment of its programs; stop it at the end."""
    cookies = folder / "Xauthority"
    write_cookie(cookies)
    log = folder / "Xvfb.log"
    reading, writing = os.pipe()
    options = ["-displayfd", str(writing), "-screen", "0", SCREEN, "+extension", "GLX"]
    options += ["-auth", str(cookies), "-nolisten", "tcp", "-noreset"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [server, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[writing],
            start_new_session=True,  # Ctrl-C is for the command; its display has to outlive it
            preexec_fn=end_with_parent,
        )
    os.close(writing)
    try:
        number = read_display(reading)
        if not number:
            raise SystemExit(f"Xvfb did not start:\n{log.read_text(errors='replace')}")
        yield environment_for(number, cookies, folder)
    finally:
        os.close(reading)
        stop(process)


def environment_for(number: str, cookies: Path, folder: Path) -> dict[str, str]:
    """Return this process's environment, changed so that a program's windows go to the virtual display."""
    environment = dict(os.environ)
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "PYOPENGL_PLATFORM"):
        environment.pop(name, None)  # PyOpenGL chooses EGL when the first is there, be it empty, and then draws nothing
    environment.update(
        DISPLAY=f":{number}",
        XAUTHORITY=str(cookies),
        QT_QPA_PLATFORM="xcb",  # Qt's "offscreen" has no OpenGL and cannot draw a layer
        LIBGL_ALWAYS_SOFTWARE="1",
    )
    environment[HEADLESS] = "1"
    if not environment.get("XDG_RUNTIME_DIR"):
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        environment["XDG_RUNTIME_DIR"] = str(runtime)
    return environment


def write_cookie(path: Path) -> None:
    """Write an Xauthority file with a fresh cookie for any display, so that no other user can connect to ours."""
    family_wild, address, number = 0xFFFF, b"", b""
    fields = (address, number, b"MIT-MAGIC-COOKIE-1", secrets.token_bytes(16))
    path.touch(mode=0o600)
    path.write_bytes(struct.pack(">H", family_wild) + b"".join(struct.pack(">H", len(f)) + f for f in fields))


def read_display(descriptor: int) -> str:
    """Return the display number Xvfb writes when it is ready; an empty string when it ended or took too long."""
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], START_SECONDS)
        part = os.read(descriptor, 16) if ready else b""
        if not part:
            return ""
        text += part
    return text.decode().strip()


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that no display is left behind."""
    set_parent_death_signal = 1
    try:
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    except (AttributeError, OSError):
        pass


def stop(process: subprocess.Popen[bytes]) -> None:
    """End one process, gently first."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run the command to its end, passing signals on to it, and return its exit code the way a shell would."""
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return 127

    def pass_on(number: int, _frame: object) -> None:
        # At a terminal Ctrl-C reaches the command by itself, and twice would be an impatient user's Ctrl-C.
        if number != signal.SIGINT or not os.isatty(0):
            process.send_signal(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), pass_on)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
