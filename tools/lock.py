"""Write ``constraints/``: for each Python, the version of every package that the project and its tools install.

Run by ``make lock``. The files hold names and versions, and where a version differs between systems, for which system
it is; never where a package came from. uv, in an environment of its own that is removed afterwards, resolves for each
Python and each system, whatever this machine is: so the files are right on all of them, and a machine's own settings
say at most which registry is asked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import setup_env
from setup_env import BUILDERS, INSTALLERS, NEWEST, OLDEST, ROOT, say

EXTRAS = [*setup_env.EXTRAS, "bench", "docs"]
#: What uv calls a system, and the markers that say it. Qt's builds for Linux ask for a C library of 2022 or later.
SYSTEMS = {
    "x86_64-manylinux_2_34": ("linux", "x86_64"),
    "aarch64-manylinux_2_35": ("linux", "aarch64"),
    "x86_64-pc-windows-msvc": ("win32", "AMD64"),
    "aarch64-apple-darwin": ("darwin", "arm64"),
    "x86_64-apple-darwin": ("darwin", "x86_64"),
}
#: The last TensorFlow for Intel Macs is 2.16.2, and it has no build for a Python after 3.12.
INTEL_MAC, INTEL_MAC_NEWEST = "x86_64-apple-darwin", 12
PIN = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==([0-9][0-9a-z.]*)")
#: Settings of uv that change which versions it chooses. Which registry it asks is the machine's own business.
CHOOSING = (
    "CONSTRAINT OVERRIDE EXCLUDE EXCLUDE_NEWER RESOLUTION PRERELEASE TORCH_BACKEND NO_BINARY NO_BUILD FORK_STRATEGY"
)


def main() -> int:
    """Write one file for each supported Python."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        say(f"`make lock` needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}: name one with `make lock PYTHON=python3.12`.")
        return 1
    setup_env.ensure_venv_module()
    with tempfile.TemporaryDirectory(prefix="napari-fcnseg-") as folder:
        python = setup_env.python_of(Path(folder) / "venv")
        setup_env.run([sys.executable, "-m", "venv", str(Path(folder) / "venv")])
        setup_env.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"])
        files = {minor: lock(python, minor) for minor in range(OLDEST[1], NEWEST[1] + 1)}
    for minor, lines in files.items():
        file = ROOT / "constraints" / f"python3.{minor}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        say(f"{file.relative_to(ROOT)}: {len(lines)} lines")
    return 0


def lock(python: Path, minor: int) -> list[str]:
    """Return the lines of the file for one Python."""
    systems = [system for system in SYSTEMS if system != INTEL_MAC or minor <= INTEL_MAC_NEWEST]
    where: dict[tuple[str, str], list[str]] = {}
    for system in systems:
        for pin in resolve(python, minor, system):
            where.setdefault(pin, []).append(system)
    return [f"{name}=={version}{marker(found, systems)}" for (name, version), found in sorted(where.items())]


def resolve(python: Path, minor: int, system: str) -> list[tuple[str, str]]:
    """Return name and version of everything that an environment on one system gets."""
    plain = [
        f"--no-{part}" for part in ("header", "annotate", "emit-index-url", "emit-find-links", "emit-build-options")
    ]
    plain += [
        "--no-emit-index-annotation",
        "--no-generate-hashes",
        "--strip-extras",
        "--quiet",
        "--only-binary",
        ":all:",
    ]
    command = [str(python), "-m", "uv", "pip", "compile", *plain, "--no-sources"]
    command += ["--python-version", f"3.{minor}", "--python-platform", system, "-"]
    wanted = "\n".join([*INSTALLERS, *BUILDERS, *setup_env.requirements(EXTRAS)])
    environment = {key: value for key, value in os.environ.items() if key.removeprefix("UV_") not in CHOOSING.split()}
    # Not in the checkout: a setting of uv in a folder above it would count.
    done = subprocess.run(
        command, cwd=python.parent, env=environment, input=wanted, capture_output=True, text=True, check=False
    )
    if done.returncode:
        say(f"{done.stderr.strip()}\nuv finds no versions that go together for Python 3.{minor} on {system}.")
        raise SystemExit(1)
    pins = [PIN.fullmatch(text) for text in done.stdout.split("\n") if text]
    if not all(pins):
        bad = next(text for text, pin in zip(done.stdout.split("\n"), pins, strict=False) if not pin)
        say(f"uv wrote a line that is not a name and a version of a public package, so nothing was changed: {bad}")
        raise SystemExit(1)
    return [(pin[1], pin[2]) for pin in pins if pin]


def marker(found: list[str], systems: list[str]) -> str:
    """Return for which systems a version is, or nothing where it is for all of them."""
    if found == systems:
        return ""
    parts = []
    for kind in dict.fromkeys(SYSTEMS[system][0] for system in systems):
        machines = [SYSTEMS[system][1] for system in systems if SYSTEMS[system][0] == kind]
        here = [SYSTEMS[system][1] for system in found if SYSTEMS[system][0] == kind]
        if here == machines:
            parts.append(f"sys_platform == '{kind}'")
        else:
            parts += [f"sys_platform == '{kind}' and platform_machine == '{machine}'" for machine in here]
    return f" ; {' or '.join(parts)}"


if __name__ == "__main__":
    raise SystemExit(main())
