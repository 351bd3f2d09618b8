"""Functions and classes of the notebook as source text, and the names of the notebook that such text reads.

What reads a name is asked of Python's own compiler: a parameter or a local variable is none, however it is called. Nothing
of the user's is called or imported. Executed as `_pekka_sources`. Python ≥ 3.9, standard library.
"""

from __future__ import annotations

import ast
import builtins
import dis
import functools
import inspect
import linecache
import re
import textwrap
import types
from typing import Any, Iterator, Sequence

#: Wrappers around one function. More is a chain that leads into itself.
MAX_LAYERS = 32

#: Earlier results and inputs of IPython and their lists, as in the scan of cells.
_HISTORY = re.compile(r"(_{1,3}|_\d+|_i{1,3}|_i\d+|_[iod]h)")
#: What every notebook has, there too.
_EVERYWHERE = frozenset(
    ("In", "Out", "get_ipython", "exit", "quit", "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__")
    + ("__builtins__", "__builtin__", "__annotations__", "__annotate__", "__session__")
)
_MISSING = object()
_CachedFunction = type(functools.lru_cache(maxsize=1)(len))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Unknown(Exception):
    """Why there is no source that makes the value again. The text is for people."""


def is_cached(value: Any) -> bool:
    """Whether it is a function under `functools.cache` or `lru_cache`. A pickle of it, by whomever, holds its name alone."""
    return type(value) is _CachedFunction


def is_definition(value: Any) -> bool:
    """Whether it is a function or a class, or something that a decorator has made of a function of the notebook."""
    kind = type(value)
    return isinstance(value, type) or kind in (types.FunctionType, types.BuiltinFunctionType) or _unwrapped(value)[1] > 0


def source_of(name: str, value: Any, namespace: dict[str, Any]) -> str:
    """Source text that defines `value` under `name`, decorators included.

    :raises Unknown: there is none, or it would make something else"""
    try:
        source = _class_source(name, value, namespace) if isinstance(value, type) else _function_source(name, value)
        used = _names_used(source)
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        raise Unknown("Its source isn’t known.") from None
    if name in used.first:
        raise Unknown("It is made from what had its name before.")
    return source


def names_in(source: str, own: str, namespace: dict[str, Any]) -> list[str]:
    """Names of the notebook that a definition reads, when it is made and when it is called; without its own."""
    return redefined([name for name in _names_used(source).all if name != own], namespace)


def first_names(source: str) -> set[str]:
    """Names that must be there when a definition is made, not only when it is called."""
    return _names_used(source).first


def redefined(names: Sequence[str], namespace: dict[str, Any]) -> list[str]:
    """Of some names those that the notebook has, and the machine doesn't have by itself."""
    return [name for name in names if name in namespace and not _is_there(name, namespace[name])]


def _is_there(name: str, value: Any) -> bool:
    """Whether the machine has it as well: a builtin that isn't redefined, or IPython's own."""
    if value is getattr(builtins, name, _MISSING) or name in _EVERYWHERE or _HISTORY.fullmatch(name):
        return True
    # IPython has an open of its own.
    return name == "open" and type(value) is types.FunctionType and str(value.__globals__.get("__name__")).startswith("IPython.")


class _Names:
    def __init__(self) -> None:
        #: In the order in which they stand there.
        self.all: dict[str, None] = {}
        #: Read while the definition is made: decorators, default values, base classes, what a lambda is called with.
        self.first: set[str] = set()


@functools.lru_cache(maxsize=4)
def _names_used(source: str) -> _Names:
    """:raises SyntaxError: it is no Python"""
    names = _Names()
    # Without the `annotations` of this file: names in annotations count.
    code = compile(source, "<definition>", "exec", dont_inherit=True, optimize=0)
    names.first.update(_reads(code))
    waiting = [code]
    while waiting:
        code = waiting.pop()
        names.all.update(dict.fromkeys(_reads(code)))
        waiting += [inner for inner in reversed(code.co_consts) if isinstance(inner, types.CodeType)]
    return names


def _reads(code: types.CodeType) -> Iterator[str]:
    """Globals that one block reads. The body of a class, as a module, has them until it binds the name itself."""
    bound = set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"):
            yield step.argval
        elif step.opname == "STORE_NAME":
            bound.add(step.argval)
        elif step.opname in ("LOAD_NAME", "DELETE_NAME") and step.argval not in bound:
            yield step.argval


def taken_along(value: Any) -> Iterator[tuple[str, Any]]:
    """What a copy of a function or a class takes along besides its code: globals that it reads or sets, what it closes over, default
    values and attributes, by their names. Runs no code of the value."""
    if isinstance(value, type):
        # Methods are functions of their own, and what else has `__get__` holds no data under this name.
        yield from ((name, item) for name, item in vars(value).items() if not hasattr(type(item), "__get__"))
        return
    code = value.__code__
    parameters = code.co_varnames[: code.co_argcount]
    yield from zip(reversed(parameters), reversed(value.__defaults__ or ()))
    yield from (value.__kwdefaults__ or {}).items()
    yield from vars(value).items()
    for name, cell in zip(code.co_freevars, value.__closure__ or ()):
        try:
            yield name, cell.cell_contents
        except ValueError:  # nothing in it yet
            continue
    waiting = [code]
    while waiting:
        code = waiting.pop()
        stored = (step.argval for step in dis.get_instructions(code) if step.opname == "STORE_GLOBAL")
        yield from ((name, value.__globals__[name]) for name in (*_reads(code), *stored) if name in value.__globals__)
        waiting += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]


# ---- functions


def _unwrapped(value: Any) -> tuple[Any, int]:
    """The notebook's function under decorators that say what they wrap, as those with `functools.wraps` do, and how many there are.
    A value that isn't such is itself, under none. Runs no code of the value."""
    inner = value
    for layer in range(MAX_LAYERS):
        wrapped = inspect.getattr_static(inner, "__wrapped__", None) if callable(inner) and not isinstance(inner, type) else None
        if wrapped is None:
            ours = layer > 0 and type(inner) is types.FunctionType and inner.__module__ == "__main__"
            return (inner, layer) if ours else (value, 0)
        inner = wrapped
    return value, 0


def _function_source(name: str, value: Any) -> str:
    function, layers = _unwrapped(value)
    if type(function) is not types.FunctionType or function.__module__ != "__main__":
        raise OSError("no source")
    if function.__closure__:
        raise Unknown("It is a function inside a function, and keeps values of that.")
    code = function.__code__
    if code.co_name not in (name, "<lambda>"):
        raise Unknown("It isn’t defined under this name.")
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename))
    found = None
    for node in ast.walk(ast.parse(text)):
        if _defines(node, name, code):
            found = node
    if found is None:
        raise Unknown("It isn’t defined under this name.")
    if isinstance(found, _FUNCTIONS):
        _check_made(function, layers, value, found)
        return _lines_of(text, found)
    segment = ast.get_source_segment(text, found)
    if segment is None or layers > 0:
        raise Unknown("It was wrapped after it was defined.")
    return segment + "\n"


def _defines(node: ast.AST, name: str, code: types.CodeType) -> bool:
    """Whether a statement makes the function of `code` under `name`: a def, or `name = lambda …`."""
    if isinstance(node, _FUNCTIONS):
        return node.name == name == code.co_name and _first_line(node) == code.co_firstlineno
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(node.value, ast.Lambda):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    at = code.co_name == "<lambda>" and node.value.lineno == code.co_firstlineno
    return at and len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == name


def _check_made(function: types.FunctionType, layers: int, value: Any, node: Any) -> None:
    """:raises Unknown: its statement, executed in the notebook, makes something else"""
    if layers > len(node.decorator_list):
        raise Unknown("It was wrapped after it was defined.")
    if "<locals>" in function.__qualname__ and (node.decorator_list or function.__defaults__ or function.__kwdefaults__):
        raise Unknown("It is a function inside a function, and keeps values of that.")
    registry = inspect.getattr_static(value, "registry", None)
    if layers > 0 and isinstance(registry, types.MappingProxyType) and len(registry) > 1:
        raise Unknown("Other functions were registered with it after it was defined.")


def _first_line(node: Any) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])  # type: ignore[no-any-return]


def _lines_of(text: str, node: Any) -> str:
    """A definition with its decorators; one that stands in an `if` begins at the margin."""
    lines = text.splitlines()[_first_line(node) - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines) + "\n")


# ---- classes


def _class_source(name: str, value: type, namespace: dict[str, Any]) -> str:
    """Source of a class of the notebook: Python finds that of functions alone.

    :raises OSError: it isn't known"""
    cells = []
    for item in vars(value).values():
        code = getattr(item, "__code__", None)
        if code is not None:
            cells.append("".join(linecache.getlines(code.co_filename)))
    cells += [cell for cell in reversed(namespace.get("In", [])) if isinstance(cell, str) and f"class {name}" in cell]
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except (SyntaxError, ValueError):
            continue
        for node in reversed(tree.body):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return _lines_of(cell, node)
    raise OSError("no source")
