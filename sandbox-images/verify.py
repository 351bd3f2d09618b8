"""Imports the packages named as arguments and reports each as one line of JSON on standard output.

Run by `pekka image build` and `pekka image verify` with the interpreter of a built image, inside a sandbox.
"""

import importlib
import importlib.metadata
import json
import os
import re
import shutil
import sys

# Names that wheels leave in site-packages by mistake; what they hold isn't the package.
STRAY = {"benchmarks", "build", "ci", "docs", "examples", "licenses", "scripts", "setup", "test", "testing", "tests", "tools"}

# Reports go to the real standard output; whatever an import prints goes to standard error.
reports = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def report(**fields):
    print(json.dumps(fields), file=reports, flush=True)


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_of(name):
    """Top-level modules of a distribution: the one that bears its name where there is one, else all public ones."""
    distribution = importlib.metadata.distribution(name)
    found = set()
    for file in distribution.files or ():
        first, rest = file.parts[0], file.parts[1:]
        if first.endswith((".dist-info", ".data", ".libs")) or first in ("..", "__pycache__", "share", "etc"):
            continue
        if rest:
            # A folder counts as a package where it holds modules, at any depth (namespace packages have no __init__).
            if file.name.endswith((".py", ".so")):
                found.add(first)
        elif first.endswith((".py", ".so")):
            found.add(first.split(".")[0])
    found = {module for module in found if module.isidentifier() and module not in STRAY}
    same = {module for module in found if normal(module).strip("-") == normal(name)}
    return sorted(same or {module for module in found if not module.startswith("_")})


def main():
    # As the runner does: what the build has compiled isn't compiled again.
    if os.path.isdir("/opt/pekka/cache"):
        shutil.copytree("/opt/pekka/cache", os.path.expanduser("~/.cache"), dirs_exist_ok=True)
    for name in sys.argv[1:]:
        report(event="start", package=name)
        modules = []
        try:
            modules = modules_of(name)
            for module in modules:
                importlib.import_module(module)
        except BaseException as error:  # an import may raise SystemExit
            report(event="end", package=name, ok=False, modules=modules, error=f"{type(error).__name__}: {error}")
        else:
            report(event="end", package=name, ok=True, modules=modules)
    # Threads and exit handlers of two hundred packages are nobody's concern here.
    os._exit(0)


main()
