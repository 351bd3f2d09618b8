"""`%pip`, `%conda` and the like in a cell: what was to be installed has been added before the run, or can't be."""

from __future__ import annotations

import shlex
import sys
from typing import Any

OTHERS = ("conda", "mamba", "micromamba", "uv")


def plant(shell: Any) -> None:
    """In place of IPython's magics, which would start a program that isn't here."""

    def pip(line: str) -> None:
        from pip.__main__ import main

        main(shlex.split(line, comments=True))

    def other(name: str) -> Any:
        def run(line: str) -> None:
            words = shlex.split(line, comments=True)
            if name == "uv" and words[:1] == ["pip"]:
                pip(line.strip()[3:])
            elif "install" in words or "add" in words:
                pip(f"install {' '.join(word for word in words if word not in ('install', 'add', '-y', '--yes'))}")
            else:
                print(f"%{name} can't be used here: packages are added before a run.", file=sys.stderr)

        return run

    shell.register_magic_function(pip, "line", "pip")
    for name in OTHERS:
        shell.register_magic_function(other(name), "line", name)
