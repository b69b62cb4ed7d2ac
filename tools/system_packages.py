"""Install packages of Debian or Ubuntu where that is allowed; where it is not, print the one line that does it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

_updated = False


def apt_install(packages: list[str], *, why: str) -> bool:
    """Install ``packages`` and return whether they are there now.

    Parameters
    ----------
    packages : list of str
        Names of packages; ``"a|b"`` is whichever of the two this release has, since some were renamed between releases.
    why : str
        What they are for, told to the person.
    """
    if shutil.which("apt-get") is None:
        say(f"This machine lacks {why}. Install what its package manager has for: {' '.join(packages)}")
        return False
    prefix = privilege()
    if prefix is None:
        names = [choose(package) for package in packages]
        say(f"This machine lacks {why}. This line installs it:\n    sudo apt-get install -y {' '.join(names)}")
        return False
    update(prefix)
    names = [choose(package) for package in packages]
    say(f"installing {why}: {' '.join(names)}")
    return apt_get(prefix, ["install", "-y", "--no-install-recommends", *names])


def privilege() -> list[str] | None:
    """Return what to put before a command that changes the system, or None where this program may not change it.

    Root may. Somebody else's password-less sudo is used on a CI machine only: nobody's own computer is changed unasked.
    """
    if os.geteuid() == 0:
        return []
    if os.environ.get("CI") and shutil.which("sudo"):
        if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
            return ["sudo", "-n"]
    return None


def update(prefix: list[str]) -> None:
    """Refresh the package lists, once. One repository that does not answer is no reason to stop: install will tell."""
    global _updated
    if not _updated:
        apt_get(prefix, ["update", "-qq"])
        _updated = True


def choose(package: str) -> str:
    """Return the first of the alternatives ``"a|b"`` that this release has."""
    names = package.split("|")
    for name in names[:-1]:
        shown = subprocess.run(["apt-cache", "show", name], capture_output=True, check=False)
        if shown.returncode == 0 and shown.stdout.strip():
            return name
    return names[-1]


def apt_get(prefix: list[str], arguments: list[str]) -> bool:
    """Run apt-get without questions, waiting for another apt to finish first; show what it said only when it failed."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        say(f"this failed with exit code {done.returncode}: {shlex.join(command)}\n{done.stdout}")
    return done.returncode == 0


def say(sentence: str) -> None:
    """Tell the person at the terminal."""
    print(sentence, file=sys.stderr, flush=True)
