"""Seeds unseeded randomness: `random` and numpy's global generator (reproducibility: DESIGN §6).

Nothing is imported for it: a module that is there already is seeded now, another one at the end of its first import.
`os.urandom`, `secrets`, `uuid4` and an unseeded `numpy.random.default_rng()` take the system's entropy and stay as they are.
Worker processes aren't seeded: all with one seed would draw the same numbers.
"""

from __future__ import annotations

from types import ModuleType

from .after_import import after_import

SEEDED = ("random", "numpy.random")


def plant(seed: int) -> None:
    """Seeds what is imported and arranges for the rest."""

    def sow(module: ModuleType) -> None:
        module.seed(seed)

    after_import(dict.fromkeys(SEEDED, sow))
