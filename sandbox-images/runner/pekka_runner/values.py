"""Values in the sandbox: those of the user's kernel are put in place before the first cell, names that are to come back are
written when the last one has ended. Runs inside the kernel process; the runner hands both over as files (travel.py).

What travels to here may execute code when it is read (`module`, `source`, `pickle`): the sandbox runs the user's code anyway.
What leaves goes through the safe codecs alone.
"""

from __future__ import annotations

import builtins
import importlib
import json
import linecache
import mmap
import os
import pickle
import sys
from contextlib import ExitStack
from typing import Any

from . import codecs

#: Of a value's own words, which user code may make as long as it likes.
LOOK_CHARACTERS = 200
#: What a look may read of a text or a container before it is cut: repr() of a list of a million takes seconds.
LOOK_ITEMS = 1000
#: Values up to this size stand in one file: a thousand files take longer to write, open and remove than all else.
PACKED_BYTES = 32 << 10


def put(folder: str) -> None:
    """Binds the values that stand in `folder`, in order, and writes what couldn't be to `failed.json` there."""
    with open(os.path.join(folder, "values.json"), "rb") as file:
        entries = json.load(file)
    namespace = _namespace()
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        together = any("packed" in entry for entry in entries)
        pack = stack.enter_context(_taken(os.path.join(folder, "pack"))) if together else None
        for index, entry in enumerate(entries):
            try:
                # Never two at a time: the bytes of one are gone when the next is read.
                packed = entry.get("packed")
                data = _whole_of(os.path.join(folder, str(index)), entry["codec"]) if packed is None else pack.read(packed)
                namespace[entry["name"]] = _load(entry, data, namespace)
            except Exception as error:  # noqa: BLE001  whatever a value's own code raises
                failed[entry["name"]] = _why(entry, error)
    with open(os.path.join(folder, "failed.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(failed))


def _whole_of(path: str, codec: str) -> Any:
    """The bytes of a file. Of an array or a table, which are copied out of them, they aren't here as well."""
    with _taken(path) as file:
        if codec in ("npy", "arrow") and os.fstat(file.fileno()).st_size > PACKED_BYTES:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return file.read()


def _taken(path: str) -> Any:
    """A file that is gone as soon as it has been read."""
    file = open(path, "rb")
    os.unlink(path)
    return file


def _why(entry: dict[str, Any], error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{entry['type']} needs the package {error.name.partition('.')[0]}, which isn't in this environment"
    return f"{type(error).__name__}: {error}"[:300]


def _namespace() -> dict[str, Any]:
    from IPython import get_ipython

    return get_ipython().user_ns  # type: ignore[no-untyped-call, no-any-return]


def _load(entry: dict[str, Any], data: Any, namespace: dict[str, Any]) -> Any:
    codec, name = entry["codec"], entry["name"]
    if codec == "module":
        where = json.loads(data)
        module = importlib.import_module(where["module"])
        value: Any = module
        for part in where["name"].split(".") if where.get("name") else ():
            value = getattr(value, part)
        return value
    if codec == "source":
        text = data.decode("utf-8")
        # Found by tracebacks and by inspect, like the cell it came from.
        file_name = f"<{name} from your notebook>"
        linecache.cache[file_name] = (len(text), None, text.splitlines(keepends=True), file_name)
        before = namespace.get(name, builtins)
        exec(compile(text, file_name, "exec"), namespace)
        if namespace.get(name, builtins) is before:
            raise ValueError(f"its source doesn't define {name}")
        return namespace[name]
    if codec == "pickle":
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if entry["python"] not in (None, here):
            raise ValueError(f"it was written by Python {entry['python']} and can only be read by that; this is {here}")
        return pickle.loads(data)
    if codec == "arrow":
        import pandas  # noqa: F401  a table becomes what it was

        return codecs.as_pandas(codecs.decode(codec, data))
    return codecs.decode(codec, data)


def take(folder: str, limit: int, total: int) -> None:
    """Writes the values whose names stand in `names.json` into `folder` as 0, 1, …, small ones one after the other into `pack`, with
    their description in `values.json`. A value of more than `limit` bytes, or that would make all of them more than `total`, is
    described alone."""
    with open(os.path.join(folder, "names.json"), "rb") as file:
        names = json.load(file)
    entries: list[dict[str, Any]] = []
    pack: list[Any] = []
    _write(folder, names, limit, total, entries, pack)
    try:
        with open(os.path.join(folder, "pack"), "wb") as out:
            out.writelines(pack)
    except OSError as error:
        for entry in entries:
            if entry.pop("packed", False):
                entry |= {"codec": None, "reason": f"{type(error).__name__} while it was written"}
    with open(os.path.join(folder, "values.json"), "w", encoding="utf-8") as text:
        # dumps() is written in C, dump() isn't.
        text.write(json.dumps(entries))


def _write(folder: str, names: list[str], limit: int, total: int, entries: list[dict[str, Any]], pack: list[Any]) -> None:
    namespace = _namespace()
    for name in names:
        if name not in namespace:
            continue
        value = namespace[name]
        entry: dict[str, Any]
        entry = {"name": name, "type": codecs.kind_of(value), "look": look(value), "codec": None, "reason": None, "size": 0}
        try:
            if isinstance(value, type(sys)) or callable(value) and hasattr(value, "__code__") or isinstance(value, type):
                continue  # modules, functions and classes came from the source, which the user has
            most = limit if limit < total else total
            entry["codec"], pieces, size = _encoded(value, folder, len(entries), most)
            if pieces is not None:
                pack += pieces
                entry["packed"] = True
            entry["size"] = size
            total -= size
        except codecs.CannotTravel as error:
            entry["reason"] = str(error)[:256]
        except Exception as error:  # noqa: BLE001  a value's own code, or no memory for it
            entry["reason"] = f"{type(error).__name__} while it was written"[:256]
        if entry["codec"] is None:
            entry["size"] = _size(value)
        entries.append(entry)


def _encoded(value: Any, folder: str, index: int, limit: int) -> tuple[str, list[Any] | None, int]:
    """(codec, pieces, or None where they stand in a file of their own, size).

    :raises CannotTravel: there is no way, or it takes more than `limit`"""
    plain = codecs.plain_json(value)
    if plain is not None:
        codecs.within(len(plain), limit)
        return "json", [plain], len(plain)
    path = os.path.join(folder, str(index))
    table = codecs.table_of(value)
    if table is not None and table.nbytes > PACKED_BYTES:
        return "arrow", None, _write_table(table, path, limit)
    codec, pieces = encoded = codecs.encode(value, limit)
    size = encoded.size
    if size <= PACKED_BYTES:
        return codec, pieces, size
    with open(path, "wb") as file:
        file.writelines(pieces)
    return codec, None, size


def _write_table(table: Any, path: str, limit: int) -> int:
    """A table straight into its file, so that it isn't in memory twice; its bytes.

    :raises CannotTravel: it takes more than `limit`"""
    import pyarrow

    counted = pyarrow.MockOutputStream()
    codecs.write_table(table, counted)
    codecs.within(counted.size(), limit)
    with pyarrow.OSFile(path, "wb") as sink:
        codecs.write_table(table, sink)
    return counted.size()  # type: ignore[no-any-return]


def _size(value: Any) -> int:
    try:
        size = getattr(value, "nbytes", None)
        return size if type(size) is int and size >= 0 else max(0, sys.getsizeof(value))
    except Exception:  # noqa: BLE001
        return 0


def look(value: Any) -> str:
    """The first characters of how a value shows itself; never more than a moment's work for what we know."""
    try:
        kind = type(value)
        if kind in (str, bytes, bytearray):
            return repr(value[:LOOK_CHARACTERS])[:LOOK_CHARACTERS]
        if kind in (list, tuple, set, frozenset, dict) and len(value) > LOOK_ITEMS:
            return f"{kind.__name__} of {len(value)}"
        shape = getattr(value, "shape", None)
        if type(shape) is tuple and hasattr(value, "dtype"):
            return f"{kind.__name__} {' × '.join(map(str, shape))} {value.dtype}"[:LOOK_CHARACTERS]
        if type(shape) is tuple and hasattr(value, "columns"):
            return f"{kind.__name__} {' × '.join(map(str, shape))}"[:LOOK_CHARACTERS]
        return repr(value)[:LOOK_CHARACTERS]
    except Exception as error:  # noqa: BLE001  user code
        return f"({type(error).__name__} in its own repr)"
