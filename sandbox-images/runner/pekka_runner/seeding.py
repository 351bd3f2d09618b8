"""Seeds unseeded randomness, anew for each cell of a task (DESIGN §6, docs/determinism.md).

What a program at home would draw from the system's entropy by default comes from the task's seed here: `random`, numpy's
global generator and `default_rng()` without a seed, torch, `os.urandom` and with it `uuid4()`. Real stay `secrets`,
`random.SystemRandom`, `ssl`, `os.getrandom` and whatever native code asks the kernel for.

A generator that the user has seeded is theirs from then on and isn't touched by later cells. Nothing is imported for it: a
module that is there already is patched now, another one at the end of its import. A forked child goes on with numbers of
its own; a process started anew isn't seeded (all with one seed would draw the same).
"""

from __future__ import annotations

import _random
import os
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from .after_import import after_import

_real_urandom = os.urandom


class _Seeds:
    """Where the numbers of one process come from."""

    def __init__(self) -> None:
        self.key = b""
        self._source = _random.Random()
        #: What the user has seeded: theirs.
        self.owned: set[str] = set()
        #: Called with a number of 64 bits when a cell begins.
        self.generators: dict[str, Callable[[int], object]] = {}
        self._forks = 0
        self._installed = False

    @property
    def active(self) -> bool:
        return self.key != b""

    def enter(self, key: bytes) -> None:
        """Starts all over from a key of any length: numbers of different keys have nothing in common."""
        self.key = key
        self._forks = 0
        self._source.seed(int.from_bytes(b"\1" + key, "big"))
        for name, sow in self.generators.items():
            if name not in self.owned:
                sow(self._number_of(name))

    def _number_of(self, name: str) -> int:
        # By name, so that it doesn't matter when and in which order modules were imported.
        own = _random.Random()
        own.seed(int.from_bytes(b"\2" + self.key + name.encode(), "big"))
        return own.getrandbits(64)

    def bits(self, count: int) -> int:
        return self._source.getrandbits(count)

    def add(self, name: str, sow: Callable[[int], object]) -> None:
        """A generator that has come with an import."""
        self.generators[name] = sow
        if self.active:
            sow(self._number_of(name))

    def install(self) -> None:
        if self._installed:
            return
        self._installed = True
        os.urandom = _urandom
        os.register_at_fork(before=self._before_fork, after_in_child=self._in_child)
        after_import({"random": _patch_random, "numpy.random": _patch_numpy, "torch": _patch_torch})

    def _before_fork(self) -> None:
        self._forks += 1

    def _in_child(self) -> None:
        # Python gives a child's `random` new entropy; numpy's and torch's go on as in the parent. So it stays.
        if not self.active:
            return
        self.key += b"\0fork\0" + str(self._forks).encode()
        self._source.seed(int.from_bytes(b"\1" + self.key, "big"))
        if (sow := self.generators.get("random")) is not None:
            sow(self.bits(64))


_seeds = _Seeds()


def _urandom(size: int, /) -> bytes:
    """Return a bytes object containing random bytes suitable for cryptographic use."""
    if not _seeds.active or type(size) is not int or size < 0:
        return _real_urandom(size)
    return _seeds.bits(8 * size).to_bytes(size, "little") if size else b""


_urandom.__name__ = _urandom.__qualname__ = "urandom"


def _own(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, noting that the user has set this generator."""

    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if args[:1] != (None,) and (args or kwargs):
            _seeds.owned.add(name)
        return result

    with suppress(AttributeError, TypeError):
        call.__name__, call.__qualname__ = function.__name__, function.__qualname__
        call.__doc__, call.__module__ = function.__doc__, getattr(function, "__module__", None) or call.__module__
    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


def _patch_random(module: ModuleType) -> None:
    # secrets and SystemRandom look it up here.
    module._urandom = _real_urandom  # type: ignore[attr-defined]
    shared = module._inst  # type: ignore[attr-defined]
    original = module.Random.seed

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        if a is None:
            if _seeds.active:
                a = _seeds.bits(256)
        elif self is shared:
            _seeds.owned.add("random")
        original(self, a, version)

    seed.__doc__, seed.__qualname__, seed.__module__ = original.__doc__, original.__qualname__, original.__module__
    module.Random.seed = seed
    module.seed = shared.seed  # type: ignore[attr-defined]
    module.setstate = _own("random", module.setstate)  # type: ignore[attr-defined]
    _seeds.add("random", lambda bits: original(shared, bits))


def _patch_numpy(module: ModuleType) -> None:
    generators: Any = module.bit_generator
    real_bits = generators.randbits

    def randbits(count: int) -> int:
        return _seeds.bits(count) if _seeds.active else real_bits(count)

    # SeedSequence asks for it, and all generators without a seed ask SeedSequence.
    generators.randbits = randbits
    original: Any = module.seed
    for place in (module, module.mtrand):
        place.seed = _own("numpy.random", original)  # type: ignore[attr-defined]
        place.set_state = _own("numpy.random", place.set_state)  # type: ignore[attr-defined]
    _seeds.add("numpy.random", lambda bits: original([bits & 0xFFFFFFFF, bits >> 32]))


def _patch_torch(module: ModuleType) -> None:
    original: Any = module.manual_seed
    wrapped = _own("torch", original)
    for place in (module, module.random):
        place.manual_seed = wrapped  # type: ignore[attr-defined]
        place.set_rng_state = _own("torch", place.set_rng_state)  # type: ignore[attr-defined]
    _seeds.add("torch", original)


def plant(seed: int) -> None:
    """Seeds what is imported and arranges for the rest. In a kernel every cell then begins with numbers of its own."""
    base = b"pekka" + seed.to_bytes(4, "big")
    _seeds.install()
    _seeds.enter(base)
    shell = _shell()
    if shell is None:
        return
    begun = 0

    def begin_cell(info: Any) -> None:
        nonlocal begun
        begun += 1
        cell = getattr(info, "cell_id", None)
        _seeds.enter(base + (cell if isinstance(cell, str) else str(begun)).encode("utf-8", "replace"))

    begin_cell.pekka = True  # type: ignore[attr-defined]
    for callback in list(shell.events.callbacks["pre_run_cell"]):
        if getattr(callback, "pekka", False):
            shell.events.unregister("pre_run_cell", callback)
    # First, so that what the user has registered sees the cell's own numbers.
    shell.events.callbacks["pre_run_cell"].insert(0, begin_cell)


def _shell() -> Any:
    import sys

    module = sys.modules.get("IPython.core.interactiveshell")
    return module.InteractiveShell._instance if module is not None else None
