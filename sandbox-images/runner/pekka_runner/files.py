"""Files a task leaves in its working directory: they come back (travel.py)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

#: Names that are told. Someone who writes more wants to know how many, not which.
MAX_FILES = 1000
#: Entries looked at before giving up: a task may leave millions, and this runs while somebody waits for its end.
MAX_ENTRIES = 50_000
MAX_DEPTH = 16
MAX_NAME = 1024
#: Left by Python and IPython themselves.
_OWN = frozenset({"__pycache__", ".ipynb_checkpoints", ".ipython"})

Snapshot = dict[str, tuple[int, int]]


def _walk(root: str) -> Iterator[tuple[str, os.stat_result]]:
    queue: list[tuple[str, int]] = [("", 0)]
    seen = 0
    while queue:
        folder, depth = queue.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_ENTRIES:
                        return
                    name = os.path.join(folder, entry.name)
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if stat.S_ISDIR(info.st_mode) and depth < MAX_DEPTH and entry.name not in _OWN:
                        queue.append((name, depth + 1))
                    elif stat.S_ISREG(info.st_mode):
                        yield name, info
        except OSError:
            continue


def snapshot(root: str) -> Snapshot:
    return {name: (info.st_size, info.st_mtime_ns) for name, info in _walk(root)}


def left_behind(root: str, before: Snapshot, ours: str | None = None) -> tuple[list[dict[str, object]], int]:
    """New and changed regular files by name, and how many more there are than are named. Follows no links. `ours` is a
    file that the runner has put there itself."""
    changed = sorted(
        (name, info.st_size)
        for name, info in _walk(root)
        if name != ours and before.get(name) != (info.st_size, info.st_mtime_ns)
    )
    shown = [
        {"name": os.fsencode(name).decode("utf-8", "replace")[:MAX_NAME], "size": size} for name, size in changed[:MAX_FILES]
    ]
    return shown, len(changed) - len(shown)
