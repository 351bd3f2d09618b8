"""What PEKKA does in the user's own kernel: it looks at values that a remote run needs, and writes them; pekka_returns.py takes
what comes back. It is executed as a module of its own (`_pekka_kernel` in sys.modules, after `_pekka_codecs`), by a silent
request, so nothing of it appears in the namespace, the history or the output. It imports nothing of the user's.

Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import ast
import binascii
import builtins
import importlib.util
import inspect
import io
import json
import linecache
import mmap
import pickle
import re
import sys
import tempfile
import textwrap
import types
from typing import Any

import _pekka_codecs as codecs

#: Names looked at for one run. A selection that reads more is a program that reads its own namespace.
MAX_NAMES = 10_000
#: Bytes written while the sheet is being made; above, a size is estimated and the value is written when it is sent.
EAGER_BYTES = 4 << 20
#: What a pickle may take.
MAX_PICKLE = 2 << 30
#: Names of things that are nobody else's business. They start unticked.
SECRET = re.compile(r"(^|_)(token|secret|passwor[dt]|passwd|pwd|api_?key|apikey|credential|private_?key|auth)s?(_|$)", re.I)
_SECRET_VALUES = re.compile(r"^(sk-[\w-]{16,}|gh[pousr]_\w{20,}|xox[abp]-[\w-]{10,}|AKIA[0-9A-Z]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY)")

#: Types that belong to this computer, by the module of their class, and why.
_ROOTED = {
    "sqlite3": "An open database connection only works on this computer. Send a table instead.",
    "psycopg2": "An open database connection only works on this computer. Send a table instead.",
    "sqlalchemy": "An open database connection only works on this computer. Send a table instead.",
    "socket": "An open network connection only works on this computer.",
    "threading": "A thread or its lock only works in this process.",
    "_thread": "A lock only works in this process.",
    "asyncio": "A task of this process only works here.",
    "subprocess": "A process that runs here only works here.",
    "_io": "An open file only works on this computer. Send the file, and open it in the cell.",
    "multiprocessing": "Processes of this computer only work here.",
    "ipywidgets": "A widget lives in this page.",
}

#: Written values of the run that is being prepared: name → pieces.
_written: dict[str, Any] = {}


class Answer:
    """A result for the page: IPython shows it by the bundle alone."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "<pekka>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        value = self._value
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {"application/vnd.pekka.bytes": binascii.b2a_base64(value, newline=False).decode("ascii")}
        return {"application/vnd.pekka+json": json.dumps(value)}


def _namespace() -> dict[str, Any]:
    from IPython import get_ipython

    return get_ipython().user_ns


def _is_hidden(name: str) -> bool:
    return name.startswith("_") or name in ("In", "Out", "get_ipython", "exit", "quit", "open")


# ---- what travels


def survey(names: list[str]) -> Answer:
    """Describes the values of `names` and of what they need in turn, those needed first."""
    _written.clear()
    looker = _Looker(_namespace())
    for name in names[:MAX_NAMES]:
        looker.look(name, None)
    return Answer({"values": looker.rows, "python": f"{sys.version_info.major}.{sys.version_info.minor}", "more": max(0, len(names) - MAX_NAMES)})


class _Looker:
    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._seen: set[str] = set()
        self.rows: list[dict[str, Any]] = []

    def look(self, name: str, by: str | None) -> None:
        if name in self._seen or name not in self._namespace or len(self._seen) > MAX_NAMES:
            return
        self._seen.add(name)
        value = self._namespace[name]
        row: dict[str, Any] = {"name": name, "by": by, "needs": [], "codec": None, "size": 0, "reason": None, "python": None}
        row["kind"] = row["type"] = "object"
        row["secret"] = bool(SECRET.search(name))
        try:
            row["type"] = codecs.kind_of(value)
            row["kind"] = _describe(value)
            if type(value) is str and _SECRET_VALUES.match(value):
                row["secret"] = True
            codec, pieces, size, needs, python = write(name, value, self._namespace, EAGER_BYTES)
            row.update(codec=codec, size=size, needs=needs, python=python)
            if pieces is not None:
                _written[name] = pieces
        except codecs.CannotTravel as error:
            row["reason"] = _sentence(str(error))
        except Exception as error:  # noqa: BLE001  a value's own code
            row["reason"] = f"{type(error).__name__} when it was looked at."
        # What a function needs must be there before it.
        for needed in row["needs"]:
            self.look(needed, name)
        self.rows.append(row)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _describe(value: Any) -> str:
    """`float, 9.5`, `list of 200`, `DataFrame, 3 columns, 1,000 rows`, `function, 14 lines`. Runs no code of the value."""
    kind = type(value)
    name = codecs.kind_of(value)
    if kind in (int, float, bool, complex, type(None)):
        return f"{name}, {value!r}"[:80]
    if kind is str:
        return f"text of {len(value):,} characters" if len(value) > 24 else "text"
    if kind in (list, tuple, set, frozenset, dict):
        return f"{name} of {len(value):,}"
    if kind is types.ModuleType:
        return "module"
    if kind is types.FunctionType:
        try:
            lines = len(inspect.getsource(value).splitlines())
            return f"function, {lines} line{'' if lines == 1 else 's'}"
        except Exception:  # noqa: BLE001
            return "function"
    if isinstance(value, type):
        return "class"
    root = kind.__module__.partition(".")[0] if isinstance(kind.__module__, str) else ""
    if root == "numpy" and kind.__name__ == "ndarray":
        return f"array, {' × '.join(f'{size:,}' for size in value.shape)} {value.dtype}"[:80]
    if root == "pandas" and kind.__name__ == "DataFrame":
        return f"DataFrame, {value.shape[0]:,} rows × {value.shape[1]:,} columns"
    if root == "pandas" and kind.__name__ == "Series":
        return f"Series of {value.shape[0]:,}"
    return name


def write(name: str, value: Any, namespace: dict[str, Any], eager: int) -> tuple[str, Any, int, list[str], str | None]:
    """(codec, pieces or None where they are written later, size, names it needs, Python it needs).

    :raises CannotTravel: there is no way"""
    plain = codecs.plain_json(value)
    if plain is not None:
        return "json", [plain], len(plain), [], None
    kind = type(value)
    if kind is types.ModuleType:
        return _reference(value.__name__, None)
    if isinstance(value, type) or kind in (types.FunctionType, types.BuiltinFunctionType):
        return _definition(name, value, namespace)
    _refuse_rooted(kind)
    estimate = _estimate(value)
    if estimate > eager:
        if codecs_later(value):
            return codecs_later(value), None, estimate, [], None
    try:
        encoded = codecs.encode(value)
        return encoded.codec, encoded.pieces, encoded.size, [], None
    except codecs.CannotTravel as error:
        return _pickled(value, str(error))


def codecs_later(value: Any) -> str:
    """The codec of a large value that is written when it is sent; '' where only writing tells."""
    kind = type(value)
    if kind.__module__ == "numpy" and not value.dtype.hasobject:
        return "npy"
    if kind.__module__.partition(".")[0] == "pandas" and getattr(sys.modules.get("pyarrow"), "lib", None) is not None:
        return "arrow"
    return ""


def _estimate(value: Any) -> int:
    kind = type(value)
    root = kind.__module__.partition(".")[0] if isinstance(kind.__module__, str) else ""
    if root == "numpy" and kind.__name__ == "ndarray":
        return int(value.nbytes)
    if root == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        usage = value.memory_usage(index=True, deep=False)
        return int(usage.sum() if kind.__name__ == "DataFrame" else usage)
    if kind in (str, bytes, bytearray):
        return len(value)
    return 0


def _refuse_rooted(kind: type) -> None:
    module = kind.__module__ if isinstance(kind.__module__, str) else ""
    reason = _ROOTED.get(module.partition(".")[0])
    if reason is not None:
        raise codecs.CannotTravel(reason)
    if kind in (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType):
        raise codecs.CannotTravel("A generator that has begun can’t be copied. Make a list of it.")


def _reference(module: str, attribute: str | None) -> tuple[str, Any, int, list[str], str | None]:
    if module.partition(".")[0] in ("__main__", "builtins") and attribute is None:
        raise codecs.CannotTravel("This module is the notebook itself.")
    text = json.dumps({"module": module, "name": attribute}).encode()
    return "module", [text], len(text), [], None


def _definition(name: str, value: Any, namespace: dict[str, Any]) -> tuple[str, Any, int, list[str], str | None]:
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    home = sys.modules.get(module) if isinstance(module, str) else None
    if home is not None and module != "__main__" and isinstance(qualified, str):
        found: Any = home
        for part in qualified.split("."):
            found = getattr(found, part, None)
        if found is value:
            return _reference(module, qualified)
    if getattr(value, "__closure__", None):
        return _pickled(value, "It is a function inside a function, and keeps values of that.")
    try:
        source = _class_source(name, value, namespace) if isinstance(value, type) else textwrap.dedent(inspect.getsource(value))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError, ValueError):
        return _pickled(value, "Its source isn’t known.")
    node = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name != name:
        return _pickled(value, "It isn’t defined under this name.")
    if isinstance(value, types.FunctionType) and not node.decorator_list and value.__code__.co_name != name:
        return _pickled(value, "It was replaced after it was defined.")
    text = source.encode()
    return "source", [text], len(text), _names_in(tree, name, namespace), None


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
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return "\n".join(cell.splitlines()[first - 1 : node.end_lineno]) + "\n"
    raise OSError("no source")


def _names_in(tree: ast.AST, own: str, namespace: dict[str, Any]) -> list[str]:
    """Global names that a definition reads, as far as the kernel has them and Python hasn't."""
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != own:
            found[node.id] = None
    return [name for name in found if name in namespace and not _is_hidden(name) and not hasattr(builtins, name)]


class _Pickler(pickle.Pickler):
    """Notes which classes and functions of the notebook a pickle refers to by name: they travel as source."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.needs: dict[str, None] = {}

    def reducer_override(self, value: Any) -> Any:
        if getattr(value, "__module__", None) == "__main__" and isinstance(value, (type, types.FunctionType)):
            self.needs[value.__qualname__.partition(".")[0]] = None
        return NotImplemented


class _Bounded(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MAX_PICKLE:
            raise codecs.CannotTravel(f"It takes more than {MAX_PICKLE >> 30} GiB.")
        return super().write(data)


def _pickled(value: Any, why: str) -> tuple[str, Any, int, list[str], str | None]:
    """The last resort. The machine that runs the task reads it; nothing is ever unpickled here."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    out = _Bounded()
    pickler = _Pickler(out)
    try:
        if isinstance(value, (type, types.FunctionType)):
            raise pickle.PicklingError("by its name alone")
        pickler.dump(value)
        data = out.getbuffer()
        return "pickle", [data], data.nbytes, list(pickler.needs), minor
    except codecs.CannotTravel:
        raise
    except RecursionError:
        raise codecs.CannotTravel("It is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001  a value's own code
        first = str(error)[:120]
    if importlib.util.find_spec("cloudpickle") is None:
        raise codecs.CannotTravel(f"{_sentence(why)} ({first})")
    try:
        import cloudpickle

        data = cloudpickle.dumps(value, protocol=5)
    except Exception as error:  # noqa: BLE001
        raise codecs.CannotTravel(f"{_sentence(why)} ({str(error)[:120]})") from None
    return "pickle", [data], len(data), [], minor


def export(names: list[str]) -> Answer:
    """Writes what the survey hasn't, and says what each takes; `chunk` hands it over."""
    namespace = _namespace()
    rows = []
    for name in names:
        try:
            if name not in namespace:
                raise codecs.CannotTravel("It was deleted meanwhile.")
            pieces = _written.get(name)
            codec, python = None, None
            if pieces is None:
                codec, pieces, _, _, python = write(name, namespace[name], namespace, 1 << 62)
                _written[name] = pieces
            rows.append({"name": name, "codec": codec, "python": python, "size": sum(memoryview(p).nbytes for p in pieces), "reason": None})
        except codecs.CannotTravel as error:
            rows.append({"name": name, "codec": None, "python": None, "size": 0, "reason": _sentence(str(error))})
        except Exception as error:  # noqa: BLE001
            rows.append({"name": name, "codec": None, "python": None, "size": 0, "reason": f"{type(error).__name__} when it was written."})
    return Answer(rows)


def chunk(name: str, offset: int, length: int) -> Answer:
    found = []
    at = 0
    for piece in _written[name]:
        view = memoryview(piece).cast("B")
        begin, end = max(0, offset - at), min(view.nbytes, offset + length - at)
        if begin < end:
            give_back(piece)
            found.append(view[begin:end])
        at += view.nbytes
        if at >= offset + length:
            break
    # Most often one piece has it all, and nothing is copied.
    return Answer(found[0] if len(found) == 1 else b"".join(found))


def give_back(piece: Any) -> None:
    """What was read of a mapped file is the system's again; it counts as this process's memory until then."""
    if isinstance(piece, mmap.mmap) and hasattr(piece, "madvise"):
        piece.madvise(mmap.MADV_DONTNEED)


# ---- tables

#: Bytes of one batch of a table that is written into a file.
BATCH_BYTES = 4 << 20

_stream_in_memory = codecs._stream


def _stream(pyarrow: Any, table: Any) -> Any:
    """A table as the codecs write it; a large one into a file without a name, so that it isn't here twice."""
    if table.nbytes <= EAGER_BYTES:
        return _stream_in_memory(pyarrow, table)
    import pyarrow.ipc

    rows = max(1, table.num_rows * BATCH_BYTES // table.nbytes)
    try:
        with tempfile.TemporaryFile(prefix="pekka-") as file:
            sink = pyarrow.PythonFile(file, mode="w")
            with pyarrow.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=rows)
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise codecs.CannotTravel(f"There is no room to write it on this computer ({error.strerror or error}).") from None


# The codecs are a module of our own here; the sandbox has its own, and writes into memory.
codecs._stream = _stream


def chunks(wanted: list[str]) -> Answer:
    """Many small values at once, one after the other."""
    return Answer(b"".join(bytes(piece) for name in wanted for piece in _written[name]))


def release() -> Answer:
    _written.clear()
    return Answer(None)
