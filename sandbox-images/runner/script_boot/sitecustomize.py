"""Runs at the start of a script's interpreter, seeds it, and leaves no trace: path, environment and a sitecustomize of
the image are as without it. Put on the path by pekka_runner/script.py, only when the task has a seed."""

import importlib.util
import os
import sys


def _boot() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry != here]
    if any(rest):
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)
    seed = os.environ.pop("PEKKA_SEED", None)
    if seed is not None:
        file = os.path.join(os.path.dirname(here), "pekka_runner", "seeding.py")
        spec = importlib.util.spec_from_file_location("_pekka_seeding", file)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.plant(int(seed))
    sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401  the image's own, if it has one
    except ImportError:
        pass


_boot()
