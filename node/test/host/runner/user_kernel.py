"""The extension's helper as the page puts it into the user's kernel: its files as modules, under the names it gives them."""

import os
import sys
import types


def load(name, path):
    """The module, and its source."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    with open(path) as file:
        source = file.read()
    exec(compile(source, path, "exec"), module.__dict__)
    return module, source


def load_helper(codecs_file, folder):
    """The modules of codecs, of what goes in, and of what comes back."""
    codecs, source = load("_pekka_codecs", codecs_file)
    for name in ("sources", "exports"):
        load(f"_pekka_{name}", os.path.join(folder, f"pekka_{name}.py"))
    kernel, _ = load("_pekka_kernel", os.path.join(folder, "pekka_kernel.py"))
    reader, _ = load("_pekka_reader", os.path.join(folder, "pekka_reader.py"))
    reader.CODECS = source
    returns, _ = load("_pekka_returns", os.path.join(folder, "pekka_returns.py"))
    returns.reader = reader
    return codecs, kernel, returns
