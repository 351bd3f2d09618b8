"""Gives the task's home what libraries would else work out again in every sandbox (matplotlib's list of fonts: 0.2 s).

The image has it beside the runner; libraries want it in a place they can write to.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

#: /opt/pekka/cache in an image; its folders are those of ~/.cache.
_BAKED = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "cache")


def lay_out() -> None:
    """Copies the image's caches. A home that can't take them does without."""
    with suppress(OSError, shutil.Error):
        if os.path.isdir(_BAKED):
            shutil.copytree(_BAKED, os.path.join(os.path.expanduser("~"), ".cache"), dirs_exist_ok=True)
