"""Seeds unseeded randomness: `random` and numpy's global generator (reproducibility: DESIGN §6).

Nothing is imported for it: a module that is there already is seeded now, another one at the end of its first import.
`os.urandom`, `secrets`, `uuid4` and an unseeded `numpy.random.default_rng()` take the system's entropy and stay as they are.
Worker processes aren't seeded: all with one seed would draw the same numbers.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SEEDED = ("random", "numpy.random")


class _SeedingLoader:
    """The module's own loader, and then a call of its `seed`."""

    def __init__(self, inner: Any, seed: int) -> None:
        self._inner, self._seed = inner, seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module looks as if nobody had been between.
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        module.seed(self._seed)


class _SeedingFinder:
    """Finds each of SEEDED once, then steps aside."""

    def __init__(self, names: set[str], seed: int) -> None:
        self._names, self._seed = names, seed

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self._names:
            return None
        self._names.discard(name)
        if not self._names and self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _SeedingLoader(spec.loader, self._seed)  # type: ignore[assignment]
        return spec


def plant(seed: int) -> None:
    """Seeds what is imported and arranges for the rest."""
    missing = set()
    for name in SEEDED:
        module = sys.modules.get(name)
        if module is None:
            missing.add(name)
        else:
            module.seed(seed)
    if missing:
        sys.meta_path.insert(0, _SeedingFinder(missing, seed))
