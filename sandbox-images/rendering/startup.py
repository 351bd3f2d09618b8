"""Pins the threads of Mitsuba: it does not obey OMP_NUM_THREADS, and with more than one thread two runs give two pictures."""

import importlib.abc
import importlib.util
import os
import sys


class _Pin(importlib.abc.MetaPathFinder):
    """Lets the others find `drjit`, and sets its number of threads once it is loaded."""

    def find_spec(self, name, path, target=None):
        if name != "drjit":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            try:
                module.set_thread_count(int(os.environ.get("OMP_NUM_THREADS", "1")))
            except (AttributeError, ValueError):
                pass

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Pin())
