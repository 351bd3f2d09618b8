"""Calls a function on a module right after its first import.

Nothing is imported for it, and afterwards the module looks as if nobody had been between.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Action = Callable[[ModuleType], None]


class _ActingLoader(Loader):
    """The module's own loader, and then the action."""

    def __init__(self, inner: Any, action: Action) -> None:
        self._inner, self._action = inner, action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        self._action(module)


class _Finder:
    """Finds each module once, then steps aside."""

    def __init__(self, actions: dict[str, Action]) -> None:
        self._actions = actions

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        action = self._actions.pop(name, None)
        if action is None:
            return None
        if not self._actions and self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _ActingLoader(spec.loader, action)
        return spec


def after_import(actions: Mapping[str, Action]) -> None:
    """Calls each action now if its module is there already, else at the end of the module's import."""
    missing: dict[str, Action] = {}
    for name, action in actions.items():
        module = sys.modules.get(name)
        if module is None:
            missing[name] = action
        else:
            action(module)
    if missing:
        sys.meta_path.insert(0, _Finder(missing))
