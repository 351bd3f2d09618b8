"""Packages and inputs of the task, which the host has put beside the sandbox since the kernel was started
(stand_ins/pekka_extras.py, docs/decisions/0008)."""

from __future__ import annotations

import os

from .kernel import Kernel

EXTRAS = "/srv/pekka"
#: Packages in the place of some of the image's: a kernel that has loaded the image's can't use them.
ENVIRONMENT = f"{EXTRAS}/environment"


def replaces_packages() -> bool:
    return os.path.isdir(ENVIRONMENT)


def arrive(kernel: Kernel) -> None:
    """Lets the warm kernel see them. A script's interpreter is started later and sees them by itself."""
    if os.listdir(EXTRAS) if os.path.isdir(EXTRAS) else ():
        kernel.quietly("__import__('pekka_extras').begin()")
