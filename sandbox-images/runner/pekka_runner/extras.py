"""Packages and inputs of the task, which the host has put beside the sandbox since the kernel was started
(stand_ins/pekka_extras.py, docs/decisions/0008)."""

from __future__ import annotations

import json
import os
from contextlib import suppress

from .kernel import Kernel

EXTRAS = "/srv/pekka"
#: Packages in the place of some of the image's: a kernel that has loaded the image's can't use them.
ENVIRONMENT = f"{EXTRAS}/environment"
INPUTS = f"{EXTRAS}/inputs.json"


def replaces_packages() -> bool:
    return os.path.isdir(ENVIRONMENT)


def place_inputs() -> None:
    """Inputs as files in the working directory: links, so that they take no room there. A file that travelled stays."""
    if not os.path.exists(INPUTS):
        return
    with open(INPUTS, encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        folder = os.path.dirname(entry["path"])
        if folder:
            os.makedirs(folder, exist_ok=True)
        with suppress(FileExistsError):
            os.symlink(entry["file"], entry["path"])


def arrive(kernel: Kernel) -> None:
    """Lets the warm kernel see them. A script's interpreter is started later and sees them by itself."""
    if os.listdir(EXTRAS) if os.path.isdir(EXTRAS) else ():
        kernel.quietly("__import__('pekka_extras').begin()")
