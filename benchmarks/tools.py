"""The programs that rows need from the operating system: nginx and wrk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

PACKAGES = {"nginx": "nginx-light", "wrk": "wrk"}
"""The packages of Debian and Ubuntu that programs are in."""


def missing(programs: Iterable[str]) -> tuple[str, ...]:
    """Give those of some programs that cannot be found."""
    return tuple(program for program in programs if shutil.which(program) is None)


def sentence(programs: Iterable[str]) -> str:
    """Say which programs are missing and how to get them."""
    programs = tuple(programs)
    packages = " ".join(PACKAGES[program] for program in programs)
    verb = "is" if len(programs) == 1 else "are"
    return f"{' and '.join(programs)} {verb} not installed: apt-get install {packages}, or make bench INSTALL=1."


def install(programs: Iterable[str]) -> None:
    """Install programs, and leave no service of theirs running: the package of nginx starts one.

    Raises `CalledProcessError`.
    """
    programs = tuple(programs)
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends"]
    subprocess.run([*as_root, *environment, *(PACKAGES[program] for program in programs)], check=True)
    if "nginx" in programs:  # it was not there before, so nobody needs its service
        stop = ["systemctl", "disable", "--now", "nginx"] if shutil.which("systemctl") else ["service", "nginx", "stop"]
        subprocess.run([*as_root, *stop], check=False)
