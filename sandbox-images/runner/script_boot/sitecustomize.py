"""Runs at the start of a script's interpreter, seeds it, and leaves no trace: path, environment and a sitecustomize of
the image are as without it. Put on the path by pekka_runner/script.py."""

import json
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
    begin = os.environ.pop("PEKKA_BOOT", None)
    if begin is not None:
        seed, cpus, reads = json.loads(begin)
        sys.path.insert(0, os.path.dirname(here))
        from pekka_runner import identity, seeding

        del sys.path[0]
        identity.make_uniform(cpus)
        if seed is not None:
            seeding.plant(seed)
        witness = identity.Witness(reads)
        for name in [name for name in sys.modules if name.partition(".")[0] == "pekka_runner"]:
            del sys.modules[name]
        witness.arm()
    sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401  the image's own, if it has one
    except ImportError:
        pass


_boot()
