"""Entry point of the runner: `python -I -u main.py [--preload numpy,pandas]`. Serves one `run` and ends. See README.md."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def _take_over_stdio() -> tuple[int, int]:
    """Moves the streams of records away from 0 and 1, to descriptors that no child inherits, before anything is started.

    Whoever prints to fd 1 by mistake then writes into our diagnostics, never into the records."""
    records_in, records_out = os.dup(0), os.dup(1)  # os.dup gives close-on-exec descriptors
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return records_in, records_out


if __name__ == "__main__":
    _fds = _take_over_stdio()
    from pekka_runner.serve import serve

    serve(*_fds, sys.argv[1:])
