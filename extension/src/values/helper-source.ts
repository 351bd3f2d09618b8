// Made by scripts/docs/kernel-helper.ts from sandbox-images/runner/pekka_runner/codecs.py and extension/kernel/. Not edited by hand.
export const HELPER_VERSION = '29c313212869348a'
/** Python modules in the order in which they are executed. */
export const HELPER_MODULES: readonly (readonly [name: string, source: string])[] = [
  [
    '_pekka_codecs',
    `"""How values are written and read, on both ends: in the user's kernel and in the sandbox (DESIGN §6, Values).

\`encode\` takes exact types only and imports nothing that the process hasn't imported itself; what it can't write raises
\`CannotTravel\` with a reason for people. \`decode\` reads the safe codecs (\`json\`, \`npy\`, \`arrow\`, \`text\`, \`png\`): every size that a
header claims is compared with the bytes that are there before anything is allocated for it, and nothing is ever executed.
The codecs that execute (\`module\`, \`source\`, \`pickle\`) are read by the sandbox alone, in values.py. Python ≥ 3.9.
"""

from __future__ import annotations

import ast
import base64
import datetime
import decimal
import json
import math
import re
import struct
import sys
import uuid
from typing import Any, Callable, NamedTuple

SAFE = ("json", "npy", "arrow", "text", "png")

#: Nesting of a JSON value. Python's own parser recurses in C; 64 is far below its limit and above what people nest.
MAX_DEPTH = 64
#: Elements of one JSON value. A million small objects take about 100 MB of memory.
MAX_NODES = 1_000_000
#: Arrays inside a list or a dict stand in its JSON as base64, up to this size each.
MAX_NESTED_ARRAY = 4 << 20
#: Text above this is a codec of its own: no escapes, no copy.
TEXT_BYTES = 64 << 10
#: numpy's own limit of a version 1 header is 64 KiB; a structured type with a thousand fields takes 30 KiB.
MAX_NPY_HEADER = 64 << 10
MAX_DIMENSIONS = 32
#: Pixels of a picture: 64 MP are 256 MB decoded.
MAX_PIXELS = 64_000_000
#: Largest whole number that JSON readers of all languages keep exactly.
_EXACT = 1 << 53
#: Decimal digits of a whole number: int() takes quadratic time.
MAX_DIGITS = 4000


class CannotTravel(Exception):
    """Why a value can't be written. The text is for people."""


class Refused(Exception):
    """Why bytes aren't taken as a value. The text is for people."""


class Encoded(NamedTuple):
    codec: str
    #: Bytes-like pieces, one after the other.
    pieces: list[Any]

    @property
    def size(self) -> int:
        return sum(memoryview(piece).nbytes for piece in self.pieces)


def _loaded(name: str) -> Any:
    """A module that somebody has imported, never an import of ours."""
    return sys.modules.get(name)


def kind_of(value: Any) -> str:
    """The value's type as people call it: \`DataFrame\`, \`list\`, \`sqlite3.Connection\`. Never runs code of the value."""
    kind = type(value)
    module, name = kind.__module__, kind.__qualname__
    if not isinstance(module, str) or not isinstance(name, str):
        return "object"
    short = module in ("builtins", "__main__") or module.partition(".")[0] in ("numpy", "pandas", "polars", "torch")
    return (name if short else f"{module}.{name}")[:200]


# ---- encoding


def encode(value: Any, limit: int = 1 << 40) -> Encoded:
    """Writes a value by the first safe codec that keeps it.

    :raises CannotTravel: none does, or it takes more than \`limit\` bytes"""
    plain = plain_json(value)
    if plain is not None:
        return _within(Encoded("json", [plain]), limit)
    kind = type(value)
    if kind is str and len(value) > TEXT_BYTES:
        try:
            return _within(Encoded("text", [value.encode("utf-8")]), limit)
        except UnicodeEncodeError:
            raise CannotTravel("it holds half a character (a lone surrogate)") from None
    numpy = _loaded("numpy")
    if numpy is not None and kind is numpy.ndarray:
        return _within(Encoded("npy", _npy(numpy, value, limit)), limit)
    table = table_of(value)
    if table is not None:
        return _within(Encoded("arrow", [_stream(_loaded("pyarrow"), table)]), limit)
    if kind.__module__.partition(".")[0] == "PIL":
        return _within(Encoded("png", [_png(value)]), limit)
    text = json.dumps(_Writer().tree(value, 0), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return _within(Encoded("json", [text.encode("ascii")]), limit)


def _within(encoded: Encoded, limit: int) -> Encoded:
    within(encoded.size, limit)
    return encoded


def within(size: int, limit: int) -> None:
    """:raises CannotTravel: it takes too much"""
    if size > limit:
        raise CannotTravel(f"it takes {size} bytes, more than {limit}")


#: What small plain values are made of.
_PLAIN = frozenset((int, float, bool, type(None), str))
#: Items of one; what is larger takes its time anyway.
_PLAIN_ITEMS = 64
#: Characters of a text in one.
_PLAIN_SIZE = 1 << 12
_json_of = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def plain_json(value: Any) -> bytes | None:
    """A small number or text, or a list or dict of such, as \`encode\` writes it, without its walk. None for all else."""
    kind = type(value)
    if kind in (list, dict) and len(value) > _PLAIN_ITEMS:
        return None
    # A copy: a thread of the user's may change it meanwhile.
    if kind is list:
        value = parts = value.copy()
    elif kind is dict:
        value = value.copy()
        parts = [*value, *value.values()]
        if not all(type(key) is str and not key.startswith("$") for key in value):
            return None
    else:
        parts = [value]
    for part in parts:
        kind = type(part)
        if kind not in _PLAIN or kind is str and not (len(part) < _PLAIN_SIZE and part.isascii()):
            return None
        if kind is int and not -_EXACT <= part <= _EXACT:
            return None
    try:
        return _json_of(value).encode("ascii")
    except ValueError:
        return None  # NaN or an infinity


class _Writer:
    """Makes a tree of plain JSON; everything else becomes \`{"$t": type, "v": …}\`."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._nodes = 0

    def tree(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise CannotTravel(f"it has more than {MAX_NODES} elements; as an array or a table it would travel")
        if depth > MAX_DEPTH:
            raise CannotTravel(f"it is nested deeper than {MAX_DEPTH}")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise CannotTravel("it holds half a character (a lone surrogate)") from None
            return value
        if kind is int:
            if -_EXACT <= value <= _EXACT:
                return value
            if value.bit_length() > 3 * MAX_DIGITS:
                raise CannotTravel(f"it holds a number of more than {MAX_DIGITS} digits")
            return {"$t": "int", "v": str(value)}
        if kind is float:
            # repr() of a finite float reads back exactly, and has a point or an exponent where an int has none.
            return value if math.isfinite(value) else {"$t": "float", "v": value.hex()}
        if kind in _LEAVES:
            name, write = _LEAVES[kind]
            return {"$t": name, "v": write(value)}
        if kind in (list, tuple, set, frozenset, dict, slice):
            return self._container(kind, value, depth)
        return self._numpy(value)

    def _container(self, kind: type, value: Any, depth: int) -> Any:
        if id(value) in self._open:
            raise CannotTravel("it contains itself")
        self._open.add(id(value))
        try:
            if kind is list:
                return [self.tree(item, depth + 1) for item in value]
            if kind is dict:
                if all(type(key) is str and not key.startswith("$") for key in value):
                    return {self.tree(key, depth + 1): self.tree(item, depth + 1) for key, item in value.items()}
                pairs = [[self.tree(key, depth + 1), self.tree(item, depth + 1)] for key, item in value.items()]
                return {"$t": "dict", "v": pairs}
            if kind is slice:
                return {"$t": "slice", "v": [self.tree(part, depth + 1) for part in (value.start, value.stop, value.step)]}
            # A set has no order of its own; by their JSON, equal sets are written equally.
            items = [self.tree(item, depth + 1) for item in value]
            if kind is not tuple:
                items.sort(key=lambda item: json.dumps(item, sort_keys=True))
            return {"$t": kind.__name__, "v": items}
        finally:
            self._open.discard(id(value))

    def _numpy(self, value: Any) -> Any:
        numpy = _loaded("numpy")
        if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
            array = value if type(value) is numpy.ndarray else numpy.asarray(value)
            if type(array) is numpy.ndarray and array.nbytes <= MAX_NESTED_ARRAY:
                raw = b"".join(bytes(piece) for piece in _npy(numpy, array, MAX_NESTED_ARRAY * 2))
                name = "scalar" if isinstance(value, numpy.generic) else "npy"
                return {"$t": name, "v": base64.b64encode(raw).decode("ascii")}
        pandas = _loaded("pandas")
        if pandas is not None and type(value) is pandas.Timestamp and value.tz is None:
            return {"$t": "timestamp", "v": value.isoformat()}
        raise CannotTravel(f"{kind_of(value)} has no safe form")


_LEAVES: dict[type, tuple[str, Callable[[Any], Any]]] = {
    complex: ("complex", lambda v: [v.real.hex(), v.imag.hex()]),
    bytes: ("bytes", lambda v: base64.b64encode(v).decode("ascii")),
    bytearray: ("bytearray", lambda v: base64.b64encode(v).decode("ascii")),
    range: ("range", lambda v: [str(v.start), str(v.stop), str(v.step)]),
    datetime.date: ("date", lambda v: v.isoformat()),
    datetime.time: ("time", lambda v: _naive(v).isoformat()),
    datetime.datetime: ("datetime", lambda v: _naive(v).isoformat()),
    datetime.timedelta: ("timedelta", lambda v: [v.days, v.seconds, v.microseconds]),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", str),
    type(Ellipsis): ("ellipsis", lambda v: None),
}


def _naive(value: Any) -> Any:
    zone = value.tzinfo
    if zone is not None and type(zone) is not datetime.timezone:
        raise CannotTravel("a time with a named zone has no safe form")
    return value


def _npy(numpy: Any, array: Any, limit: int) -> list[Any]:
    if array.dtype.hasobject:
        raise CannotTravel("an array of Python objects has no safe form")
    if array.nbytes > limit:
        raise CannotTravel(f"it takes {array.nbytes} bytes, more than {limit}")
    descr = numpy.lib.format.dtype_to_descr(array.dtype)
    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    if not array.flags.forc:
        array = numpy.ascontiguousarray(array)
    # As numpy.lib.format writes it, version 2 (a header of any length); numpy reads it too.
    header = repr({"descr": descr, "fortran_order": fortran, "shape": tuple(array.shape)}).encode("latin1")
    if len(header) + 64 > MAX_NPY_HEADER:
        raise CannotTravel("its structure has too many fields")
    header += b" " * (-(len(header) + 13) % 64) + b"\\n"
    body = array.T if fortran else array
    body = body.reshape(-1).view(numpy.uint8).data if array.size and array.dtype.itemsize else b""
    return [b"\\x93NUMPY\\x02\\x00" + struct.pack("<I", len(header)) + header, body]


def table_of(value: Any) -> Any:
    """The Arrow table as which a DataFrame, a Series or such a table is written; None for all else.

    :raises CannotTravel: it holds what has no place in one"""
    root = type(value).__module__.partition(".")[0]
    if root == "pandas" and (pandas := _loaded("pandas")) is not None and type(value) in (pandas.DataFrame, pandas.Series):
        return _table_of_pandas(pandas, value)
    if root == "pyarrow" and (pyarrow := _loaded("pyarrow")) is not None and type(value) is pyarrow.Table:
        return value
    return None


def _table_of_pandas(pandas: Any, value: Any) -> Any:
    pyarrow = _loaded("pyarrow")
    if pyarrow is None or getattr(pyarrow, "lib", None) is None:
        raise CannotTravel("a table needs the package pyarrow in your kernel")
    series = type(value) is pandas.Series
    frame = value.to_frame("" if value.name is None else value.name) if series else value
    for column, dtype in zip(frame.columns, frame.dtypes):
        if type(column) not in (str, int, tuple):
            raise CannotTravel(f"the name of its column {column!r:.40} is neither text nor a number")
        if dtype == object and not _plain_objects(frame[column]):
            raise CannotTravel(f"its column {column!r:.40} holds Python objects")
    try:
        table = pyarrow.Table.from_pandas(frame)
    except Exception as error:
        raise CannotTravel(f"it has no form as a table: {str(error)[:200]}") from None
    metadata = dict(table.schema.metadata or {})
    if series:
        metadata[b"pekka"] = b"series" if value.name is not None else b"series without a name"
    return table.replace_schema_metadata(metadata)


def _plain_objects(column: Any) -> bool:
    kinds = {type(item) for item in column}
    kinds.discard(type(None))
    kinds.discard(float)
    return kinds <= {str} or kinds <= {bytes} or kinds <= {bool} or kinds <= {int}


def _stream(pyarrow: Any, table: Any) -> Any:
    sink = pyarrow.BufferOutputStream()
    write_table(table, sink)
    return sink.getvalue()


def write_table(table: Any, sink: Any) -> None:
    """Writes a table as it travels."""
    import pyarrow.ipc

    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _png(image: Any) -> bytes:
    if getattr(image, "mode", None) not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise CannotTravel(f"{kind_of(image)} has no safe form")
    import io

    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


# ---- decoding


def decode(codec: str, data: Any) -> Any:
    """Reads a value of a safe codec.

    :raises Refused: it is not what it says"""
    if codec == "json":
        data = bytes(data)
        plain = read_plain(data)
        return decode_json(data) if plain is None else plain[0]
    if codec == "text":
        try:
            return bytes(data).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("the text is not UTF-8") from None
    if codec == "npy":
        return decode_npy(data)
    if codec == "arrow":
        return decode_arrow(data)
    if codec == "png":
        return decode_png(data)
    raise Refused(f"{codec!r:.20} is no safe codec")


_STRINGS = re.compile(rb'"(?:[^"\\\\]|\\\\.)*"')
_BRACKETS = re.compile(rb"[\\[\\]{}]")


def _check_depth(data: bytes) -> None:
    """Python's JSON parser recurses: nesting and elements are counted before it runs, texts left out."""
    bare = _STRINGS.sub(b"", data)
    if bare.count(b",") > 4 * MAX_NODES:
        raise Refused(f"it has more than {MAX_NODES} elements")
    depth = 0
    for bracket in _BRACKETS.findall(bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > 3 * MAX_DEPTH + 8:
            raise Refused(f"it is nested deeper than {MAX_DEPTH}")


def _not_json(name: str) -> Any:
    raise ValueError(name)


_scan = json.JSONDecoder(parse_constant=_not_json).scan_once
_LONG_NUMBER = re.compile(rb"[0-9]{20}")
#: Bytes, and brackets that open.
_PLAIN_BYTES, _PLAIN_BRACKETS = 1 << 15, 60


def read_plain(data: bytes) -> tuple[Any] | None:
    """Reads small JSON without any part of our own, at once: \`(value,)\`. None for all else, of which \`decode_json\` says what it is.

    What it takes that takes, with the same value: its brackets are too few to be nested deeply, no number is long, and no text has
    a \`$\`, which begins every tag."""
    if len(data) > _PLAIN_BYTES or data.count(b"[") + data.count(b"{") > _PLAIN_BRACKETS:
        return None
    if b"$" in data or b"\\\\u" in data or _LONG_NUMBER.search(data):
        return None
    try:
        text = data.decode("ascii")
        value, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    return (value,) if end == len(text) else None


def decode_json(data: bytes) -> Any:
    _check_depth(data)

    def number(text: str) -> int:
        if len(text) > 20:
            raise Refused("a number is too long")
        return int(text)

    def constant(text: str) -> Any:
        raise Refused(f"{text} is not JSON")

    try:
        tree = json.loads(data.decode("utf-8"), parse_int=number, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused("it is not JSON") from None
    try:
        return _read(tree, 0)
    except (ValueError, TypeError, KeyError, OverflowError, ArithmeticError, RecursionError):
        raise Refused("a part of it is not what it says") from None


def _read(tree: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise Refused(f"it is nested deeper than {MAX_DEPTH}")
    if type(tree) is list:
        return [_read(item, depth + 1) for item in tree]
    if type(tree) is not dict:
        return tree
    kind = tree.get("$t")
    if kind is None:
        return {key: _read(item, depth + 1) for key, item in tree.items()}
    value = tree["v"]
    if set(tree) != {"$t", "v"} or type(kind) is not str:
        raise Refused("it has a tag that isn't one of ours")
    if kind in ("tuple", "set", "frozenset", "dict", "slice"):
        items = [_read(item, depth + 1) for item in value]
        if kind == "dict":
            return {key: item for key, item in items}
        if kind == "slice":
            start, stop, step = items
            return slice(start, stop, step)
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)
    reader = _READERS.get(kind)
    if reader is None:
        raise Refused(f"it has an unknown part ({kind!r:.20})")
    return reader(value)


def _int(text: Any) -> int:
    if type(text) is not str or len(text) > MAX_DIGITS or not text.lstrip("-").isdigit():
        raise ValueError
    return int(text)


def _float(text: Any) -> float:
    if type(text) is not str or len(text) > 32:
        raise ValueError
    return float.fromhex(text)


def _text(text: Any, most: int = 64) -> str:
    if type(text) is not str or len(text) > most:
        raise ValueError
    return text


def _decimal(text: Any) -> decimal.Decimal:
    return decimal.Decimal(_text(text, MAX_DIGITS))


def _bytes(text: Any) -> bytes:
    if type(text) is not str:
        raise ValueError
    return base64.b64decode(text, validate=True)


def _scalar(text: Any) -> Any:
    array = decode_npy(_bytes(text))
    if array.shape != ():
        raise ValueError
    return array[()]


def _timestamp(text: Any) -> Any:
    pandas = _loaded("pandas")
    moment = datetime.datetime.fromisoformat(_text(text)[:26])
    return moment if pandas is None else pandas.Timestamp(_text(text))


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": _int,
    "float": _float,
    "complex": lambda v: complex(_float(v[0]), _float(v[1])),
    "bytes": _bytes,
    "bytearray": lambda v: bytearray(_bytes(v)),
    "range": lambda v: range(_int(v[0]), _int(v[1]), _int(v[2])),
    "date": lambda v: datetime.date.fromisoformat(_text(v)),
    "time": lambda v: datetime.time.fromisoformat(_text(v)),
    "datetime": lambda v: datetime.datetime.fromisoformat(_text(v)),
    "timedelta": lambda v: datetime.timedelta(v[0], v[1], v[2]),
    "decimal": _decimal,
    "uuid": lambda v: uuid.UUID(_text(v)),
    "ellipsis": lambda v: ...,
    "npy": lambda v: decode_npy(_bytes(v)),
    "scalar": _scalar,
    "timestamp": _timestamp,
}


def npy_header(data: Any) -> tuple[Any, bool, tuple[int, ...], int]:
    """(descr, fortran_order, shape, where the data begins) of an array, checked without numpy.

    :raises Refused: no array of ours"""
    view = memoryview(data).cast("B")
    if len(view) < 12 or bytes(view[:6]) != b"\\x93NUMPY" or bytes(view[6:8]) not in (b"\\x01\\x00", b"\\x02\\x00"):
        raise Refused("it is no array (its first bytes are wrong)")
    wide = view[6] == 2
    length = struct.unpack("<I" if wide else "<H", view[8 : 12 if wide else 10])[0]
    begin = (12 if wide else 10) + length
    if length > MAX_NPY_HEADER or begin > len(view):
        raise Refused("its header is longer than it may be")
    text = bytes(view[begin - length : begin]).decode("latin1")
    if max(text.count("("), text.count("[")) > 2048:
        raise Refused("its header is nested too deeply")
    try:
        header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise Refused("its header can't be read") from None
    if type(header) is not dict or set(header) != {"descr", "fortran_order", "shape"}:
        raise Refused("its header has other fields than an array's")
    shape, fortran = header["shape"], header["fortran_order"]
    if type(fortran) is not bool or type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
        raise Refused("its header's shape is none")
    if not all(type(size) is int and 0 <= size < 1 << 48 for size in shape):
        raise Refused("its header's shape is none")
    return header["descr"], fortran, shape, begin


def decode_npy(data: Any) -> Any:
    descr, fortran, shape, begin = npy_header(data)
    import numpy

    try:
        kind = numpy.lib.format.descr_to_dtype(descr) if not isinstance(descr, str) else numpy.dtype(descr)
    except Exception:
        raise Refused("its header names no type of numbers") from None
    if kind.hasobject or kind.kind not in "biufcSUmMV" or kind.itemsize == 0 and math.prod(shape) > MAX_NODES:
        raise Refused("it holds Python objects")
    claimed, there = math.prod(shape) * kind.itemsize, memoryview(data).nbytes - begin
    if claimed != there:
        raise Refused(f"it claims {claimed} bytes and has {there}")
    try:
        flat = numpy.frombuffer(data, dtype=kind, offset=begin, count=math.prod(shape)) if there else numpy.empty(0, kind)
        array = (flat if there else numpy.empty(math.prod(shape), kind)).reshape(shape, order="F" if fortran else "C")
    except Exception:
        raise Refused("its shape and its data don't fit") from None
    # A copy can be written to and doesn't keep what it was read from.
    return array.copy(order="F" if fortran else "C")


def decode_arrow(data: Any) -> Any:
    """A table; with pandas loaded a DataFrame or Series. Parse bytes from outside in a child process first (receive.py)."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise Refused("a table needs the package pyarrow here") from None
    try:
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(data)) as reader:
            schema = reader.schema
            if any(_foreign(pyarrow, field.type) for field in schema):
                raise Refused("it has a column of a type that isn't Arrow's own")
            table = reader.read_all()
        table.validate(full=True)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"it is no table: {str(error)[:200]}") from None
    return table


def _foreign(pyarrow: Any, kind: Any, depth: int = 0) -> bool:
    if depth > MAX_DEPTH or isinstance(kind, pyarrow.BaseExtensionType):
        return True
    return any(_foreign(pyarrow, kind.field(index).type, depth + 1) for index in range(kind.num_fields))


def as_pandas(table: Any) -> Any:
    """The DataFrame or Series that a table was, where pandas is loaded; else the table."""
    pandas = _loaded("pandas")
    if pandas is None:
        return table
    metadata = table.schema.metadata or {}
    try:
        frame = table.to_pandas()
    except Exception as error:
        raise Refused(f"it doesn't become a DataFrame: {str(error)[:200]}") from None
    mark = metadata.get(b"pekka", b"")
    if mark.startswith(b"series") and len(frame.columns) == 1:
        series = frame.iloc[:, 0]
        return series if mark == b"series" else series.rename(None)
    return frame


def png_size(data: Any) -> tuple[int, int]:
    """Width and height of a PNG whose chunks fill it exactly.

    :raises Refused: it is none, or has too many pixels"""
    view = memoryview(data).cast("B")
    if bytes(view[:8]) != b"\\x89PNG\\r\\n\\x1a\\n" or len(view) < 45 or bytes(view[12:16]) != b"IHDR":
        raise Refused("it is no PNG picture")
    width, height = struct.unpack(">II", view[16:24])
    if not 0 < width * height <= MAX_PIXELS:
        raise Refused(f"it claims {width} × {height} pixels")
    at, last = 8, b""
    import zlib

    while at + 12 <= len(view):
        (length,) = struct.unpack(">I", view[at : at + 4])
        last = bytes(view[at + 4 : at + 8])
        if length > len(view) - at - 12:
            raise Refused("a part of the picture claims more bytes than there are")
        if zlib.crc32(view[at + 4 : at + 8 + length]) != struct.unpack(">I", view[at + 8 + length : at + 12 + length])[0]:
            raise Refused("a part of the picture is damaged")
        at += 12 + length
        if last == b"IEND":
            break
    if last != b"IEND" or at != len(view):
        raise Refused("the picture is cut, or followed by something else")
    return width, height


def decode_png(data: Any) -> Any:
    """A PIL picture where PIL is loaded, else IPython's, which only shows it."""
    png_size(data)
    if _loaded("PIL") is None:
        from IPython.display import Image

        return Image(bytes(data), format="png")
    import io

    from PIL import Image as Pictures

    try:
        picture = Pictures.open(io.BytesIO(bytes(data)), formats=["PNG"])
        picture.load()
    except Exception as error:
        raise Refused(f"it is no PNG picture: {str(error)[:100]}") from None
    return picture
`
  ],
  [
    '_pekka_sources',
    `"""Functions and classes of the notebook as source text, and the names of the notebook that such text reads.

What reads a name is asked of Python's own compiler: a parameter or a local variable is none, however it is called. Nothing
of the user's is called or imported. Executed as \`_pekka_sources\`. Python ≥ 3.9, standard library.
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
_HISTORY = re.compile(r"(_{1,3}|_\\d+|_i{1,3}|_i\\d+|_[iod]h)")
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
    """Whether it is a function under \`functools.cache\` or \`lru_cache\`. A pickle of it, by whomever, holds its name alone."""
    return type(value) is _CachedFunction


def is_definition(value: Any) -> bool:
    """Whether it is a function or a class, or something that a decorator has made of a function of the notebook."""
    kind = type(value)
    return isinstance(value, type) or kind in (types.FunctionType, types.BuiltinFunctionType) or _unwrapped(value)[1] > 0


def source_of(name: str, value: Any, namespace: dict[str, Any]) -> str:
    """Source text that defines \`value\` under \`name\`, decorators included.

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
    # Without the \`annotations\` of this file: names in annotations count.
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
        # Methods are functions of their own, and what else has \`__get__\` holds no data under this name.
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
    """The notebook's function under decorators that say what they wrap, as those with \`functools.wraps\` do, and how many there are.
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
    return segment + "\\n"


def _defines(node: ast.AST, name: str, code: types.CodeType) -> bool:
    """Whether a statement makes the function of \`code\` under \`name\`: a def, or \`name = lambda …\`."""
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
    """A definition with its decorators; one that stands in an \`if\` begins at the margin."""
    lines = text.splitlines()[_first_line(node) - 1 : node.end_lineno]
    return textwrap.dedent("\\n".join(lines) + "\\n")


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
`
  ],
  [
    '_pekka_exports',
    `"""Values that are on their way out: each run's are written once, as they were then, and read piece by piece under a token. What
another run looks at or sends meanwhile, and what a cell changes, is nothing to them.

Executed as \`_pekka_exports\`, after \`_pekka_codecs\`. Python ≥ 3.9, standard library.
"""

from __future__ import annotations

import mmap
import tempfile
import threading
import time
import uuid
from typing import Any, Callable, Iterator

import _pekka_codecs as codecs

#: Values up to this size are kept in memory, larger ones in files without a name.
MEMORY_BYTES = 4 << 20
#: What all runs that are being sent may take here: two of the largest.
MAX_HELD = 4 << 30
#: Runs at once. A page sends one after the other; of more, the one that nobody has read from for longest goes.
MAX_EXPORTS = 64
#: What nobody has read from for so long belongs to a page that is gone, s. Between two values a page sends what else travels, and
#: 1 GiB takes two and a half hours at 1 Mbit/s; a laptop sleeps meanwhile.
IDLE_SECONDS = 6 * 3600.0
#: Where there is no room, what nobody has read from for so long goes first, s. A part of 16 MiB takes two minutes at 1 Mbit/s.
STALE_SECONDS = 900.0
#: Bytes that are written and compared at once.
_STEP = 4 << 20

#: Main thread and subshells are called at once.
_lock = threading.Lock()
_exports: dict[str, Export] = {}
_timer: threading.Timer | None = None


class Export:
    """What one run sends."""

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self.held = 0
        self.used = time.monotonic()
        self._values: dict[str, list[Any]] = {}

    def keep(self, name: str, codec: str, pieces: list[Any]) -> int:
        """Takes a value's pieces as they are now; their bytes.

        :raises CannotTravel: there is no room, or it changes at this moment"""
        size = sum(memoryview(piece).nbytes for piece in pieces)
        with _lock:
            if sum(export.held for export in _exports.values()) + size > MAX_HELD:
                _drop(STALE_SECONDS, but=self.token)
            others = sum(export.held for export in _exports.values())
            if others + size > MAX_HELD:
                raise codecs.CannotTravel(f"What is being sent from here already takes {others / 1e9:.1f} GB. Wait until it is there.")
            self.held += size
            self.used = time.monotonic()
        self._values[name] = _kept(pieces, size, alive=codec == "npy")
        return size

    def compare(self, name: str, pieces: list[Any]) -> None:
        """Compares what is kept with the same value written again.

        :raises CannotTravel: it has changed, so that what is kept may be torn"""
        if not _same(self._values[name], pieces):
            raise codecs.CannotTravel("It changed while it was written. Send it when the cell that changes it has ended.")

    def read(self, name: str, offset: int, length: int) -> Any:
        """Bytes of one value."""
        found = []
        at = 0
        for piece in self._values[name]:
            view = memoryview(piece).cast("B")
            begin, end = max(0, offset - at), min(view.nbytes, offset + length - at)
            if begin < end:
                give_back(piece)
                found.append(view[begin:end])
            at += view.nbytes
            if at >= offset + length:
                break
        # Most often one piece has it all, and nothing is copied.
        return found[0] if len(found) == 1 else b"".join(found)

    def read_all(self, names: list[str]) -> bytes:
        """Many small values, one after the other."""
        return b"".join(bytes(piece) for name in names for piece in self._values[name])


def begin() -> Export:
    """A run's values from now on, until \`release\`."""
    export = Export()
    with _lock:
        if len(_exports) >= MAX_EXPORTS:
            del _exports[min(_exports, key=lambda token: _exports[token].used)]
        _exports[export.token] = export
        _arm()
    return export


def of(token: str) -> Export | None:
    """The export; None where it was released, or nobody came for it."""
    with _lock:
        export = _exports.get(token)
        if export is not None:
            export.used = time.monotonic()
        return export


def release(token: str) -> None:
    global _timer
    with _lock:
        _exports.pop(token, None)
        if not _exports and _timer is not None:
            _timer.cancel()
            _timer = None


def _arm() -> None:
    """Sees to it that what is left behind goes, though nobody calls; with the lock held."""
    global _timer
    if _timer is None:
        until = min(export.used for export in _exports.values()) + IDLE_SECONDS
        _timer = threading.Timer(max(1.0, until - time.monotonic()), _sweep)
        _timer.daemon = True
        _timer.start()


def _sweep() -> None:
    global _timer
    with _lock:
        _timer = None
        _drop(IDLE_SECONDS)
        if _exports:
            _arm()


def _drop(seconds: float, but: str | None = None) -> None:
    """Lets go of what nobody has read from for so long; with the lock held."""
    until = time.monotonic() - seconds
    for token in [token for token, export in _exports.items() if export.used <= until and token != but]:
        del _exports[token]


def _kept(pieces: list[Any], size: int, alive: bool) -> list[Any]:
    """Pieces that stay as they are: those of an array are views of the memory that the user's code writes to."""
    if size <= MEMORY_BYTES:
        return [bytes(piece) for piece in pieces] if alive else pieces
    if all(isinstance(piece, mmap.mmap) for piece in pieces):
        return pieces
    try:
        return [mapped(lambda file: [file.write(part) for piece in pieces for part in _parts(piece)])]
    except codecs.CannotTravel:
        if alive:
            raise
        return pieces


def _same(kept: list[Any], pieces: list[Any]) -> bool:
    """Whether an array's pieces are what is kept of it: the same pieces, or one of all."""
    if sum(memoryview(piece).nbytes for piece in kept) != sum(memoryview(piece).nbytes for piece in pieces):
        return False
    sources = iter(kept)
    source = memoryview(b"")
    held: Any = None
    for piece in pieces:
        for part in _parts(piece):
            while part.nbytes:
                if not source.nbytes:
                    held = next(sources)
                    source = memoryview(held).cast("B")
                    continue
                size = min(part.nbytes, source.nbytes)
                if bytes(source[:size]) != bytes(part[:size]):
                    return False
                give_back(held)
                source, part = source[size:], part[size:]
    return True


def _parts(piece: Any) -> Iterator[memoryview]:
    view = memoryview(piece).cast("B")
    for at in range(0, view.nbytes, _STEP):
        yield view[at : at + _STEP]


def mapped(write: Callable[[Any], Any]) -> mmap.mmap:
    """What \`write\` writes into a file without a name, mapped: it isn't in this process's memory as well.

    :raises CannotTravel: there is no room for it"""
    try:
        with tempfile.TemporaryFile(prefix="pekka-") as file:
            write(file)
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise codecs.CannotTravel(f"There is no room to write it on this computer ({error.strerror or error}).") from None


def give_back(piece: Any) -> None:
    """What was read of a mapped file is the system's again; it counts as this process's memory until then."""
    if isinstance(piece, mmap.mmap) and hasattr(piece, "madvise"):
        piece.madvise(mmap.MADV_DONTNEED)
`
  ],
  [
    '_pekka_kernel',
    `"""What PEKKA does in the user's own kernel: it looks at values that a remote run needs, and writes them; pekka_returns.py takes
what comes back. It is executed as a module of its own (\`_pekka_kernel\` in sys.modules, after \`_pekka_codecs\`), by a silent
request, so nothing of it appears in the namespace, the history or the output. It imports nothing of the user's. What is source
text is pekka_sources.py's, what becomes of written values pekka_exports.py's.

Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import binascii
import contextlib
import importlib.util
import inspect
import io
import json
import pickle
import pkgutil
import re
import sys
import threading
import time
import types
from typing import Any, Iterator, Sequence

import _pekka_codecs as codecs
import _pekka_exports as exports
import _pekka_sources as sources
from _pekka_exports import give_back  # noqa: F401  pekka_reader.py gives back by ours

#: Names looked at for one run. A selection that reads more is a program that reads its own namespace.
MAX_NAMES = 10_000
#: Bytes written while the sheet is being made; above, a size is estimated. All is written anew, at one moment, when it is sent.
EAGER_BYTES = 4 << 20
#: What a pickle may take.
MAX_PICKLE = 2 << 30
#: Between writing arrays and comparing them, s: who is in the midst of changing one has had the processor by then.
PAUSE_SECONDS = 0.05
#: Names of things that are nobody else's business. They start unticked.
SECRET = re.compile(r"(^|_)(token|secret|passwor[dt]|passwd|pwd|api_?key|apikey|credential|private_?key|auth)s?(_|$)", re.I)
_SECRET_VALUES = re.compile(r"^(sk-[\\w-]{16,}|gh[pousr]_\\w{20,}|xox[abp]-[\\w-]{10,}|AKIA[0-9A-Z]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY)")

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

#: Classes of the standard library that stand elsewhere in some versions, by the module that all have: Python 3.13 moved paths.
_MOVED = {"pathlib._local": "pathlib"}


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


def _is_secret(name: str, value: Any) -> bool:
    return bool(SECRET.search(name)) or (type(value) is str and _SECRET_VALUES.match(value) is not None)


def _is_hidden(name: str) -> bool:
    return name.startswith("_") or name in ("In", "Out", "get_ipython", "exit", "quit", "open")


# ---- what travels


def survey(names: list[str], builtin: Sequence[str] = ()) -> Answer:
    """Describes the values of \`names\`, of those of \`builtin\` that the notebook has redefined, and of what they need in turn, those needed first."""
    namespace = _namespace()
    looker = _Looker(namespace)
    names = [*names, *sources.redefined(builtin, namespace)]
    for name in names[:MAX_NAMES]:
        looker.look(name, None)
    return Answer({"values": looker.rows, "python": f"{sys.version_info.major}.{sys.version_info.minor}", "more": max(0, len(names) - MAX_NAMES)})


class _Looker:
    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._seen: set[str] = set()
        #: What can't travel.
        self._staying: set[str] = set()
        #: Names that are being looked at, by whose need is behind.
        self._open: list[str] = []
        #: Rows that come right after that of a name, as a class after its base class that names it; and the name, by theirs.
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        self._behind: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []

    def look(self, name: str, by: str | None) -> None:
        if name in self._seen or name not in self._namespace or len(self._seen) > MAX_NAMES:
            return
        self._seen.add(name)
        value = self._namespace[name]
        row: dict[str, Any] = {"name": name, "by": by, "needs": [], "codec": None, "size": 0, "reason": None, "python": None}
        row["kind"] = row["type"] = "object"
        first: Any = ()
        row["secret"] = _is_secret(name, value)
        try:
            row["type"] = codecs.kind_of(value)
            row["kind"] = _describe(value)
            codec, pieces, size, needs, python = write(name, value, self._namespace, EAGER_BYTES)
            row.update(codec=codec, size=size, needs=needs, python=python)
            first = sources.first_names(bytes(pieces[0]).decode()) if codec == "source" else needs
        except codecs.CannotTravel as error:
            row["reason"] = _sentence(str(error))
        except Exception as error:  # noqa: BLE001  a value's own code
            row["reason"] = f"{type(error).__name__} when it was looked at."
        # What a function needs must be there before it.
        self._open.append(name)
        for needed in row["needs"]:
            self.look(needed, name)
        self._open.pop()
        # A copy is nothing without the classes it is made of; code may never come to what it names.
        lacks = [needed for needed in row["needs"] if needed in self._staying] if row["codec"] == "pickle" else []
        if lacks:
            row.update(codec=None, python=None, reason=f"It is made of {lacks[0]}, which can’t travel.")
        if row["codec"] is None:
            self._staying.add(name)
        self._place(row, first)

    def _place(self, row: dict[str, Any], first: Any) -> None:
        """Puts a row behind those of \`first\`, which must be there when it is made; that of a name still open comes later."""
        rows = [row, *self._waiting.pop(row["name"], [])]
        before = {self._behind.get(name, name) for name in first}
        until = next((name for name in self._open if name in before), None)
        if until is None:
            self.rows += rows
            return
        self._waiting.setdefault(until, []).extend(rows)
        self._behind.update((held["name"], until) for held in rows)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _describe(value: Any) -> str:
    """\`float, 9.5\`, \`list of 200\`, \`DataFrame, 3 columns, 1,000 rows\`, \`function, 14 lines\`. Runs no code of the value."""
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
    if sources.is_definition(value):
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
    if kind.__module__.partition(".")[0] in ("pandas", "pyarrow") and getattr(sys.modules.get("pyarrow"), "lib", None) is not None:
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
    if root == "pyarrow" and kind.__name__ == "Table":
        return int(value.nbytes)
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


def _is_installed(value: Any) -> bool:
    """Whether it is a function or a class that a module has by its name."""
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    home = sys.modules.get(module) if isinstance(module, str) else None
    if home is None or module == "__main__" or not isinstance(qualified, str):
        return False
    found: Any = home
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found is value


def _definition(name: str, value: Any, namespace: dict[str, Any]) -> tuple[str, Any, int, list[str], str | None]:
    if _is_installed(value):
        return _reference(value.__module__, value.__qualname__)
    try:
        source = sources.source_of(name, value, namespace)
    except sources.Unknown as error:
        return _pickled(value, str(error))
    text = source.encode()
    return "source", [text], len(text), sources.names_in(source, name, namespace), None


def _note(value: Any, needs: dict[str, None]) -> None:
    """Notes which classes and functions of the notebook a pickle refers to by name: they travel as source."""
    if getattr(value, "__module__", None) == "__main__" and isinstance(getattr(value, "__qualname__", None), str):
        needs[value.__qualname__.partition(".")[0]] = None


class _Pickler(pickle.Pickler):
    """Writes what every Python from 3.9 on reads: protocol 5, and names of classes alone."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.needs: dict[str, None] = {}

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)) or sources.is_cached(value):
            public = _MOVED.get(value.__module__)
            if public is not None:
                return pkgutil.resolve_name, (f"{public}:{value.__qualname__}",)
            _note(value, self.needs)
        return NotImplemented


class _Bounded(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MAX_PICKLE:
            raise codecs.CannotTravel(f"It takes more than {MAX_PICKLE >> 30} GiB.")
        return super().write(data)


def _pickled(value: Any, why: str) -> tuple[str, Any, int, list[str], str | None]:
    """The last resort. The machine that runs the task reads it; nothing is ever unpickled here."""
    if sources.is_cached(value):
        raise codecs.CannotTravel(why)
    out = _Bounded()
    pickler = _Pickler(out)
    try:
        if isinstance(value, (type, types.FunctionType)):
            raise pickle.PicklingError("by its name alone")
        pickler.dump(value)
        data = out.getbuffer()
        return "pickle", [data], data.nbytes, list(pickler.needs), None
    except codecs.CannotTravel:
        raise
    except RecursionError:
        raise codecs.CannotTravel("It is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001  a value's own code
        first = str(error)[:120]
    if importlib.util.find_spec("cloudpickle") is None:
        raise codecs.CannotTravel(f"{_sentence(why)} ({first})")
    try:
        data, needs = _with_code(value)
    except codecs.CannotTravel:
        raise
    except Exception as error:  # noqa: BLE001
        raise codecs.CannotTravel(f"{_sentence(why)} ({str(error)[:120]})") from None
    # It holds code of this Python, which no other executes.
    return "pickle", [data], data.nbytes, needs, f"{sys.version_info.major}.{sys.version_info.minor}"


def _with_code(value: Any) -> tuple[memoryview, list[str]]:
    """By cloudpickle, with the functions and classes of the notebook in it. Cached ones stay names there too."""
    import cloudpickle

    needs: dict[str, None] = {}

    def check(value: Any) -> None:
        # It would be in the pickle, without a row and a tick of its own.
        for name, item in sources.taken_along(value):
            if item is not None and _is_secret(name, item) and type(item) is not types.ModuleType and not _is_installed(item):
                raise codecs.CannotTravel(f"It reads {name}, which looks like a secret and would go along.")

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc, name-defined]
        def reducer_override(self, value: Any) -> Any:
            if sources.is_cached(value):
                _note(value, needs)
            elif isinstance(value, (type, types.FunctionType)) and not _is_installed(value):
                check(value)
            return super().reducer_override(value)

    out = _Bounded()
    Pickler(out, protocol=5).dump(value)
    return out.getbuffer(), list(needs)


def export(names: list[str]) -> Answer:
    """Writes values, as they are now, and says what each takes; \`chunk\` and \`chunks\` hand them over by the token until \`release\`."""
    namespace = _namespace()
    rows = []
    arrays = []
    exported = exports.begin()

    def keep(name: str, row: dict[str, Any]) -> None:
        if name not in namespace:
            raise codecs.CannotTravel("It was deleted meanwhile.")
        value = namespace[name]
        codec, pieces, _, _, python = write(name, value, namespace, 1 << 62)
        row.update(codec=codec, python=python, size=exported.keep(name, codec, pieces))
        if codec == "npy":
            arrays.append((row, value))

    try:
        for name in names:
            row: dict[str, Any] = {"name": name, "codec": None, "python": None, "size": 0, "reason": None}
            with _told(row):
                keep(name, row)
            rows.append(row)
        # A subshell writes while a cell runs; on the main thread none does.
        if arrays and threading.current_thread() is not threading.main_thread():
            time.sleep(PAUSE_SECONDS)
            for row, value in arrays:
                with _told(row):
                    exported.compare(row["name"], write(row["name"], value, namespace, 1 << 62)[1])
    except BaseException:  # an interrupt
        exports.release(exported.token)
        raise
    return Answer({"token": exported.token, "values": rows})


@contextlib.contextmanager
def _told(row: dict[str, Any]) -> Iterator[None]:
    """Has a row say why its value can't be written."""
    try:
        yield
    except codecs.CannotTravel as error:
        row["codec"], row["reason"] = None, _sentence(str(error))
    except Exception as error:  # noqa: BLE001  a value's own code
        row["codec"], row["reason"] = None, f"{type(error).__name__} when it was written."


def chunk(token: str, name: str, offset: int, length: int) -> Answer:
    """Bytes of one value; null where the kernel has let it go."""
    export = exports.of(token)
    return Answer(None if export is None else export.read(name, offset, length))


def chunks(token: str, names: list[str]) -> Answer:
    """Many small values at once, one after the other; null where the kernel has let them go."""
    export = exports.of(token)
    return Answer(None if export is None else export.read_all(names))


def release(token: str) -> Answer:
    exports.release(token)
    return Answer(None)


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

    def write(file: Any) -> None:
        with pyarrow.ipc.new_stream(pyarrow.PythonFile(file, mode="w"), table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)

    return exports.mapped(write)


# The codecs are a module of our own here; the sandbox has its own, and writes into memory.
codecs._stream = _stream
`
  ],
  [
    '_pekka_reader',
    `"""Bytes of a machine on their way into the user's kernel. They stand in a file that has no name, are parsed in a process of its
own with limits, and only then read here. Nothing of a machine is ever unpickled or executed, and no size that it claims is
believed before it was compared with what is there.

Executed as \`_pekka_reader\`, after \`_pekka_codecs\` and \`_pekka_kernel\`. Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import math
import mmap
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

import _pekka_codecs as codecs
import _pekka_kernel as helper

#: One value: what a task may bring back in all.
MAX_VALUE = 1 << 30
#: The source of the codecs: set by who loads this module.
CODECS = ""
#: Codecs of small values that one child process reads together: they write nothing.
TOGETHER = ("json", "npy", "text")
_COLOUR = re.compile(r"\\x1b\\[[0-9;?]*[ -/]*[@-~]")
#: An array above this is read straight from the file, bytes.
LARGE_ARRAY = 4 << 20
#: What is taken over of a table at a time, bytes.
GROUP_BYTES = 64 << 20
#: The data in a transfer's file begins here, so that arrays in it are aligned; the codecs stand before it.
ALIGNMENT = 4096

#: Of a table that can't take more as a DataFrame than it does, so many rows become one in the child.
SAMPLE_ROWS = 1000
#: A reader that was started ahead ends by itself after this, seconds: a page may expect what never comes.
PATIENCE_SECONDS = 120
#: How it ends then.
_GAVE_UP = 4
#: Whether descriptors can be passed on to it: else it starts when all is there.
AHEAD = os.name == "posix"

#: Runs in a process of its own, before anything of a machine is parsed here: \`python -I -S -c … TOLD\`. It begins before the data
#: is there, and is told by lines on its stdin what to load and, last, what to read: entries of a codec and a size. One that is
#: started with its entries (where descriptors can't be passed on) has the data as stdin. It reads once. Says on its last line of
#: stderr which were refused, by their place. With -S no code of the environment runs at its start.
_CHILD = """
import json, marshal, mmap, os, re, sys
told = json.loads(sys.argv[1])
sys.path += [path for path in told["paths"] if path not in sys.path]
with mmap.mmap(told["data"], told["begin"], access=mmap.ACCESS_READ) as head:
    code = marshal.loads(head[: told["code"]])
module = type(sys)("_pekka_codecs")
exec(code, module.__dict__)

def load(used):
    global pyarrow
    if used & {"npy", "arrow"}:
        import numpy
    if "arrow" in used:
        import pyarrow
        import pyarrow.ipc
        try:
            import pandas
        except ImportError:
            pass
    if "png" in used:
        try:
            import PIL.Image
        except ImportError:
            pass

def lines():
    import select

    held = b""
    while True:
        while b"\\\\n" not in held:
            if not select.select([0], [], [], told["patience"])[0]:
                os._exit(told["gaveUp"])
            more = os.read(0, 1 << 16)
            if not more:
                os._exit(told["gaveUp"])
            held += more
        line, _, held = held.partition(b"\\\\n")
        yield json.loads(line)

entries = told.get("read")
for line in lines() if entries is None else ():
    entries = line.get("read")
    if entries is not None:
        break
    try:
        load(set(line["load"]))
    except ImportError:
        pass  # said below, of the values that need it

file = mmap.mmap(told["data"], 0, access=mmap.ACCESS_READ)
size = sum(size for _, size in entries)
if len(file) != told["begin"] + size:
    os._exit(5)
every = memoryview(file)[told["begin"] :]
used = {codec for codec, _ in entries}

def end(refused):
    print(json.dumps(refused), file=sys.stderr)
    sys.stderr.flush()
    # What was read still lies in the mapping: the system takes both.
    os._exit(3 if refused else 0)

try:
    load(used | ({"npy"} if "json" in used and re.search(rb'"\\\\$t":"(npy|scalar)"', every) else set()))
except ImportError as error:
    end({str(at): f"it needs the package {error.name} in your kernel" for at in range(len(entries))})
try:
    import resource

    # What is loaded already, and six times the value: decoded, checked, and written again.
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    written = 2 * size + (1 << 20) if "arrow" in used else 1 << 20
    for what, limit in ((resource.RLIMIT_AS, now + 6 * size + (256 << 20)), (resource.RLIMIT_CPU, 60 + size // (1 << 20)),
                        (resource.RLIMIT_FSIZE, written), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (limit, limit))
except (ImportError, OSError, ValueError):
    pass

def overlap(kind):
    for name in ("string_view", "binary_view", "list_view", "large_list_view", "run_end_encoded"):
        if getattr(pyarrow.types, "is_" + name, lambda kind: False)(kind):
            return True
    return any(overlap(kind.field(index).type) for index in range(kind.num_fields))

def whole(data):
    "Whether these are the numbers of an array, as many as its header says: decode() would only copy them."
    import math
    import numpy

    descr, _, shape, begin = module.npy_header(data)
    try:
        kind = numpy.dtype(descr) if isinstance(descr, str) else None
    except Exception:
        return False
    return kind is not None and kind.kind in "biufcmM" and math.prod(shape) * kind.itemsize == len(data) - begin

def gapless(table):
    "Whether a table is of numbers alone, without gaps, and its rows have one name at most."
    of = pyarrow.types
    if not all((of.is_integer(one.type) or of.is_floating(one.type)) and one.null_count == 0 for one in table.columns):
        return False
    try:
        said = table.schema.pandas_metadata
        index = [] if said is None else said["index_columns"]
    except Exception:
        return False
    # A range of names counts only where it is as long as the table, so of several the sample would show none.
    return isinstance(index, list) and len(index) <= 1

def numeric(frame):
    "Whether it is of plain numbers still: what the table says of itself may make texts of them, of ten times the size."
    if getattr(frame, "ndim", 0) == 0:
        return False
    kinds = [frame.index.dtype, *(frame.dtypes if frame.ndim == 2 else [frame.dtype])]
    return all(type(kind).__module__.partition(".")[0] == "numpy" and kind.kind in "iuf" for kind in kinds)

def read(codec, data):
    if codec == "npy" and whole(data):
        return
    value = module.decode(codec, data)
    if codec != "arrow":
        return
    if any(overlap(field.type) for field in value.schema):
        # A thousand texts may be one text, and take a thousand times its bytes where they are read.
        raise module.Refused("it has a column of which parts may be one and the same")
    if value.num_rows > 8 * len(data):
        # A column of nulls takes no bytes, whatever its length; as a DataFrame it would.
        raise module.Refused(f"it claims {value.num_rows} rows in {len(data)} bytes")
    # Written anew by our own library: the bytes that are parsed next are no longer the machine's.
    metadata = {key: text for key, text in (value.schema.metadata or {}).items() if key in (b"pandas", b"pekka")}
    value = value.replace_schema_metadata(metadata)
    with pyarrow.ipc.new_stream(sys.stdout.buffer, value.schema) as writer:
        writer.write_table(value)
    sys.stdout.buffer.flush()
    # What a table takes as a DataFrame shows here, below the limit, or not at all.
    if not (gapless(value) and numeric(module.as_pandas(value.slice(0, told["sample"])))):
        module.as_pandas(value)

refused, begin = {}, 0
for at, (codec, length) in enumerate(entries):
    try:
        read(codec, every[begin : begin + length])
    except module.Refused as error:
        refused[str(at)] = str(error)
    except MemoryError:
        refused[str(at)] = "it takes more memory than its size explains"
    begin += length
end(refused)
"""


def clean(text: Any, most: int) -> str:
    """Words of a machine as they may stand in a terminal: one line, no control or direction characters, cut."""
    bare = _COLOUR.sub("", str(text)[: 4 * most])
    plain = "".join(letter if letter.isprintable() else " " for letter in bare)
    plain = " ".join(plain.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


class Reader:
    """The process that reads the pieces of a transfer before this one does. Where it can be, it is started ahead of them."""

    def __init__(self, data: Any, begin: int, code: int, entries: list[tuple[str, int]] | None = None) -> None:
        """\`entries\`: of what is there already."""
        #: What it writes anew.
        self.checked = tempfile.TemporaryFile(prefix="pekka-")
        self._told = entries is not None
        paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        told = {"data": 0 if self._told else data.fileno(), "begin": begin, "code": code, "paths": paths, "read": entries}
        told |= {"patience": PATIENCE_SECONDS, "gaveUp": _GAVE_UP, "sample": SAMPLE_ROWS}
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CHILD, json.dumps(told)],
            stdin=data if self._told else subprocess.PIPE,
            stdout=self.checked,
            stderr=subprocess.PIPE,
            pass_fds=() if self._told else (data.fileno(),),
        )

    @property
    def gone(self) -> bool:
        return self._child.poll() is not None

    def load(self, used: list[str]) -> None:
        """Has it load what values of these codecs need."""
        self._say({"load": used})

    def read(self, entries: list[tuple[str, int]], seconds: float) -> tuple[int, bytes]:
        """How it ended, and its last words.

        :raises TimeoutError: it took longer"""
        if not self._told:
            self._say({"read": entries})
        try:
            _, words = self._child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return self._child.returncode, words

    def _say(self, what: dict[str, Any]) -> None:
        if self._child.stdin is None:
            return
        try:
            self._child.stdin.write(json.dumps(what).encode() + b"\\n")
            self._child.stdin.flush()
        except OSError:
            pass  # it is gone, which its end tells

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        for file in (self._child.stdin, self._child.stderr, self.checked):
            if file is not None:
                try:
                    file.close()
                except OSError:
                    pass  # a line that it never took


class Transfer:
    """The pieces of one value, or of several small ones, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="pekka-")
        code = _code_of(CODECS)
        self._code = len(code)
        self._begin = -(-len(code) // ALIGNMENT) * ALIGNMENT
        self._file.write(code + b"\\n" * (self._begin - len(code)))
        self._file.flush()
        self.size = 0
        self._hash = hashlib.sha256()
        self._map: memoryview | None = None
        self._reader: Reader | None = None
        if AHEAD:
            try:
                self._reader = Reader(self._file, self._begin, self._code)
            except OSError:
                pass  # no room for a process now; it is tried again when all is here

    @property
    def gone(self) -> bool:
        """Whether its reader has waited for too long."""
        return self._reader is not None and self._reader.gone

    def expect(self, used: list[str]) -> None:
        """Values of these codecs are on their way."""
        if self._reader is not None:
            self._reader.load(used)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > MAX_VALUE:
            raise codecs.Refused(f"it takes more than {MAX_VALUE >> 30} GiB")
        self._hash.update(data)
        self._file.write(data)

    @property
    def digest(self) -> str:
        """SHA-256 of what has come, in hexadecimal."""
        return self._hash.hexdigest()

    def read(self, codec: str) -> Any:
        """The value, after a child process has read it.

        :raises Refused: it is not what it says. Nothing of it was run."""
        if codec not in codecs.SAFE:
            raise codecs.Refused(f"{codec!r:.20} is no safe codec")
        if self.size == 0:
            raise codecs.Refused("it is empty")
        refused, checked = self._check([(codec, self.size)])
        if refused:
            raise codecs.Refused(refused[0])
        if codec == "arrow":
            return _table(checked)
        if codec == "npy":
            return self._array()
        return codecs.decode(codec, bytes(self._data(0, self.size)))

    def _array(self) -> Any:
        """An array that the child has read without complaint; a large one straight into its place, so that it isn't here twice."""
        descr, fortran, shape, begin = codecs.npy_header(self._data(0, min(self.size, codecs.MAX_NPY_HEADER + 12)))
        import numpy

        kind = numpy.lib.format.descr_to_dtype(descr)
        count = math.prod(shape)
        if self.size <= LARGE_ARRAY or kind.hasobject or kind.itemsize * count != self.size - begin:
            return codecs.decode("npy", self._data(0, self.size))
        array = numpy.empty(count, kind)
        into = memoryview(array.view(numpy.uint8)).cast("B")
        self._file.seek(self._begin + begin)
        while into.nbytes > 0:
            # One call gives at most 2 GiB on some systems.
            read = self._file.readinto(into)
            if not read:
                raise codecs.Refused("its file was cut meanwhile")
            into = into[read:]
        return array.reshape(shape, order="F" if fortran else "C")

    def read_all(self, entries: list[tuple[str, int]]) -> list[Any]:
        """Small values that stand one after the other: each the value, or the :class:\`Refused\` that it met."""
        if any(codec not in TOGETHER or size <= 0 for codec, size in entries) or sum(size for _, size in entries) != self.size:
            raise codecs.Refused("the sizes of what has come are not those that were said")
        refused, _ = self._check(entries)
        values: list[Any] = []
        begin = 0
        for at, (codec, size) in enumerate(entries):
            try:
                if at in refused:
                    raise codecs.Refused(refused[at])
                values.append(codecs.decode(codec, bytes(self._data(begin, size))))
            except codecs.Refused as error:
                values.append(error)
            begin += size
        return values

    def _data(self, begin: int, size: int) -> memoryview:
        if self._map is None:
            # Closed with its last reader: a buffer in use can't be.
            self._map = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        return self._map[self._begin + begin : self._begin + begin + size]

    def _check(self, entries: list[tuple[str, int]]) -> tuple[dict[int, str], Any]:
        """Why which of them are refused, by their place; and the file of what was written anew."""
        self._file.flush()
        seconds = 60 + self.size // (1 << 20)
        reader = self._reader or self._start(entries)
        try:
            code, words = reader.read(entries, seconds)
            if code == _GAVE_UP:
                # It was started ahead, and has waited for longer than it does.
                reader = self._start(entries)
                code, words = reader.read(entries, seconds)
        except TimeoutError:
            raise codecs.Refused("reading it takes longer than its size explains") from None
        if code not in (0, 3):
            raise codecs.Refused("reading it broke the reader, which was a process of its own")
        try:
            said = json.loads(words.decode("utf-8", "replace").strip().splitlines()[-1])
            return {int(at): clean(why, 300) for at, why in said.items()}, reader.checked
        except (ValueError, IndexError, AttributeError):
            raise codecs.Refused("the reader, a process of its own, said nothing about it") from None

    def _start(self, entries: list[tuple[str, int]]) -> Reader:
        if self._reader is not None:
            self._reader.close()
        self._file.seek(0)
        self._reader = Reader(self._file, self._begin, self._code, None if AHEAD else entries)
        return self._reader

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._file.close()


_codes: dict[str, bytes] = {}


def _code_of(source: str) -> bytes:
    """What the reader executes, compiled once."""
    if source not in _codes:
        _codes.clear()
        _codes[source] = marshal.dumps(compile(source, "<codecs>", "exec"))
    return _codes[source]


def _table(checked: Any) -> Any:
    checked.seek(0, os.SEEK_END)
    file = mmap.mmap(checked.fileno(), checked.tell(), access=mmap.ACCESS_READ)
    table = codecs.decode("arrow", file)
    metadata = table.schema.metadata or {}
    if b"pandas" not in metadata or importlib.util.find_spec("pandas") is None:
        return table
    import pandas  # it was a DataFrame there

    groups = -(-table.nbytes // GROUP_BYTES)
    if groups < 2 or table.num_columns < 2 or not _plain_index(metadata[b"pandas"]):
        return _writable(codecs.as_pandas(table))
    # By groups of columns: of the file no more than a group's pages are this process's memory at a time.
    width = -(-table.num_columns // groups)
    arrays: dict[int, Any] = {}
    for at in range(0, table.num_columns, width):
        group = _writable(codecs.as_pandas(table.select(list(range(at, min(at + width, table.num_columns))))))
        group.attrs = {}
        arrays.update((at + column, group.iloc[:, column].array) for column in range(group.shape[1]))
        helper.give_back(file)
    bare = codecs.as_pandas(table.slice(0, 0))
    index = codecs.as_pandas(table.select([0])).index
    frame = pandas.DataFrame(arrays, index=index, copy=False)
    frame.columns = bare.columns
    frame.attrs = bare.attrs
    return frame


def _plain_index(metadata: bytes) -> bool:
    """Whether the rows of a DataFrame are only numbered: another index is a column, which every group would need."""
    try:
        index = json.loads(metadata)["index_columns"]
        return len(index) <= 1 and all(isinstance(column, dict) and column["kind"] == "range" for column in index)
    except (ValueError, KeyError, TypeError):
        return False


def _writable(frame: Any) -> Any:
    """A table of one column is a view of the file, which can't be written to."""
    # Each column that is taken out takes a copy of what the machine says of the whole, which may be much.
    attrs, frame.attrs = frame.attrs, {}
    columns = [frame] if frame.ndim == 1 else [frame.iloc[:, at] for at in range(frame.shape[1])]
    flags = [getattr(getattr(column, "_values", None), "flags", None) for column in columns]
    if any(flag is not None and not flag.writeable for flag in flags):
        frame = frame.copy()
    frame.attrs = attrs
    return frame


def accept(codec: str, data: bytes) -> Any:
    """A value of a safe codec that a machine sent.

    :raises Refused: it is not what it says. Nothing of it was run."""
    transfer = Transfer()
    try:
        transfer.add(data)
        return transfer.read(codec)
    finally:
        transfer.close()
`
  ],
  [
    '_pekka_returns',
    `"""What comes back from a machine into the user's kernel: what the page calls to hand it over, and what cells ask for. The page
hands over sealed data that it has opened, in pieces; pekka_reader.py reads them.

Executed as \`_pekka_returns\`, after \`_pekka_reader\`. Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import keyword
import sys
import threading
import uuid
from typing import Any

import _pekka_codecs as codecs
import _pekka_kernel as helper
from _pekka_kernel import Answer
from _pekka_reader import Transfer, accept, clean  # noqa: F401  pekka.py cleans words by ours

#: Transfers under way. A page asks for one after the other.
MAX_TRANSFERS = 16
#: Characters of a look, and of the words a machine says of a value.
LOOK_CHARACTERS = 200

_transfers: dict[str, Transfer] = {}
#: One that was begun before anything of it is here.
_next: Transfer | None = None
#: Main thread and subshells are called at once; each transfer is one value's.
_lock = threading.Lock()
_requests: dict[str, Request] = {}
#: Whether the page can answer while a cell runs, through a subshell.
_can_wait = False


class Request:
    """What a cell has asked the page for."""

    def __init__(self, name: str | None) -> None:
        self.id = uuid.uuid4().hex
        #: The name that is bound where nobody waits.
        self.name = name
        self.taken = False
        self.done = threading.Event()
        #: What the page has said: \`{"issue"}\`, \`{"values"}\`, or \`{"value"}\`.
        self.said: dict[str, Any] = {}


def ready(can_wait: bool) -> Answer:
    """The page is there, with the magic for this kernel."""
    global _can_wait
    _can_wait = can_wait
    # Under the other name where a package of the user's own is called pekka.
    (sys.modules.get("_pekka_user") or sys.modules["pekka"])._register()
    return Answer(None)


def claim(identifier: str) -> Answer:
    """Whether the page is the first to answer a request: a notebook may be open in two."""
    request = _requests.get(identifier)
    first = request is not None and not request.taken
    if request is not None:
        request.taken = True
    if first and request.name is not None:
        expect([])
    return Answer(first)


def expect(used: list[str]) -> Answer:
    """Values are about to come, of codecs that may be known: what reads them begins meanwhile."""
    global _next
    with _lock:
        if _next is not None and _next.gone:
            _next.close()
            _next = None
        if _next is None:
            _next = Transfer()
        if used:
            _next.expect([codec for codec in used if codec in codecs.SAFE])
    return Answer(None)


def _begin() -> Transfer:
    global _next
    with _lock:
        begun, _next = _next, None
    return begun or Transfer()


def part(identifier: str, data: bytes, first: bool) -> Answer:
    """Takes a piece of a value."""
    if first:
        drop(identifier)
        while len(_transfers) >= MAX_TRANSFERS:
            drop(next(iter(_transfers)))
        _transfers[identifier] = _begin()
    _transfers[identifier].add(data)
    return Answer(None)


def drop(identifier: str) -> Answer:
    """Forgets a value whose pieces didn't all come."""
    transfer = _transfers.pop(identifier, None)
    if transfer is not None:
        transfer.close()
    return Answer(None)


def _take(identifier: str, codec: str, digest: str | None) -> Any:
    transfer = _transfers.pop(identifier, None)
    if transfer is None:
        raise codecs.Refused("nothing of it has come")
    try:
        if digest is not None and transfer.digest != digest:
            raise codecs.Refused("its bytes are not those that the machine has named")
        return transfer.read(codec)
    finally:
        transfer.close()


def settle(identifier: str, said: dict[str, Any]) -> Answer:
    """Answers a request: \`{"issue"}\`, \`{"values": rows}\`, or \`{"row"}\` after the pieces of a value that has come."""
    request = _requests.get(identifier)
    if request is None:
        # Its cell was interrupted.
        drop(identifier)
        return Answer({"issue": None})
    row = said.get("row")
    if row is not None and row.get("codec") is not None:
        try:
            request.said = {"value": _take(identifier, row["codec"], row.get("hash"))}
        except codecs.Refused as error:
            request.said = {"issue": f"\`{request.name}\` was refused: {error}."}
        except MemoryError:
            request.said = {"issue": f"There is not enough memory here for \`{request.name}\`."}
        except Exception as error:  # noqa: BLE001  whoever waits is told, whatever it was
            request.said = {"issue": f"\`{request.name}\` could not be read: {type(error).__name__}."}
    else:
        request.said = said
    if not _can_wait:
        _requests.pop(identifier, None)
        if request.name is not None and "value" in request.said and not hidden(request.name):
            helper._namespace()[request.name] = request.said["value"]
    request.done.set()
    return Answer({"issue": request.said.get("issue")})


def bind(identifier: str, name: str, codec: str, digest: str | None = None) -> Answer:
    """Reads a value that has come, of that SHA-256 in hexadecimal, and binds it in the namespace."""
    if hidden(name):
        drop(identifier)
        return Answer({"issue": "this is no name for a value"})
    try:
        helper._namespace()[name] = _take(identifier, codec, digest)
    except codecs.Refused as error:
        return Answer({"issue": clean(error, 300)})
    except Exception as error:  # noqa: BLE001  e.g. no memory, or no disk for it
        return Answer({"issue": f"it could not be read: {type(error).__name__}"})
    return Answer({"issue": None})


def bind_all(identifier: str, entries: list[Any]) -> Answer:
    """Binds small values that came as one, by \`[name, codec, size]\` in their order. Says of each why not; None where it is bound."""
    transfer = _transfers.pop(identifier, None)
    try:
        if transfer is None:
            raise codecs.Refused("nothing of it has come")
        found = transfer.read_all([(codec, size) for _, codec, size in entries])
    except Exception as error:  # noqa: BLE001  one of them broke the reader, or there is no memory
        found = [error for _ in entries]
    finally:
        if transfer is not None:
            transfer.close()
    issues: list[str | None] = []
    namespace = helper._namespace()
    for (name, _, _), value in zip(entries, found):
        if isinstance(value, Exception) or hidden(name):
            issues.append(clean(value, 300) if isinstance(value, Exception) else "this is no name for a value")
            continue
        namespace[name] = value
        issues.append(None)
    return Answer({"issues": issues})


def hidden(name: str) -> bool:
    """Whether no value of a machine is bound to the name."""
    return not name.isidentifier() or keyword.iskeyword(name) or helper._is_hidden(name)
`
  ],
  [
    'pekka',
    `"""Values of remote runs, in the notebook that ran them.

    import pekka
    df = pekka.get("df")      # what the name was when the cell had ended
    pekka.values()            # all names, with those that stay

    %pekka                    # the same as a table
    %pekka get df model       # binds them here

The page of JupyterLab fetches a value from the notebook's newest remote run that has it. Nothing of a machine is unpickled or
executed. Loaded into the kernel by the extension; there is nothing to install.
"""

from __future__ import annotations

import time
from typing import Any

import _pekka_returns as _returns

__all__ = ["get", "values", "RemoteValue", "NotHere"]

#: A page that is there takes a request at once; its answer may take as long as the data does.
_TAKEN_SECONDS = 20.0


class NotHere(LookupError):
    """Why a value isn't here. The text says what to do."""


class RemoteValue:
    """A value that a remote cell made, as its machine describes it. \`stays\` says why it can't come; None where it can."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.name = _returns.clean(row.get("name"), 80)
        self.type = _returns.clean(row.get("type"), 80)
        #: Bytes: of its written form, or as far as they are known.
        self.size = row["size"] if type(row.get("size")) is int else 0
        #: The first characters of how it shows itself there.
        self.look = _returns.clean(row.get("look"), _returns.LOOK_CHARACTERS)
        self.stays: str | None = None
        if row.get("codec") is None:
            self.stays = _returns.clean(row.get("reason") or "it was not asked for", _returns.LOOK_CHARACTERS)

    def __repr__(self) -> str:
        state = "" if self.stays is None else f", stayed there: {self.stays}"
        return f"<{self.name}: {self.type}, {_bytes(self.size)}{state}>\\n{self.look}"


def get(name: str) -> Any:
    """The value that \`name\` had when the remote cell that made it had ended; a :class:\`RemoteValue\` where it can't come.

    :raises NotHere: no remote run of this notebook has it, it was refused, or nobody can fetch it"""
    if not isinstance(name, str) or _returns.hidden(name):
        raise NotHere(f"{name!r:.80} is no name of a value.")
    said = _ask("get", name)
    return said["value"] if "value" in said else RemoteValue(said["row"])


def values() -> list[RemoteValue]:
    """What the remote runs of this notebook have, the newest of each name.

    :raises NotHere: nobody can tell"""
    return [RemoteValue(row) for row in _ask("list", None)["values"]]


def _ask(what: str, name: str | None) -> dict[str, Any]:
    if not _returns._can_wait and name is None:
        raise NotHere("This kernel can't be answered while a cell runs (ipykernel 7 can). The line under a cell lists its values.")
    request = _returns.Request(name)
    _returns._requests[request.id] = request
    channel = _open({"op": what, "id": request.id, "name": name})
    if not _returns._can_wait:
        raise NotHere(
            f"\`{name}\` is on its way, and will be there under its name when this cell has ended: use it in the next one. "
            "(ipykernel 7 can wait for it.)"
        )
    try:
        late = time.monotonic() + _TAKEN_SECONDS
        # In steps, so that an interrupt comes through.
        while not request.done.wait(0.2):
            if not request.taken and time.monotonic() > late:
                raise NotHere("No page of JupyterLab answers. Open this notebook there, connected, and try again.")
    finally:
        _returns._requests.pop(request.id, None)
        _returns.drop(request.id)
        channel.close()
    issue = request.said.get("issue")
    if issue is not None:
        raise NotHere(_returns.clean(issue, 400))
    return request.said


def _open(data: dict[str, Any]) -> Any:
    try:
        from comm import create_comm
    except ImportError:
        # Before ipykernel 6.17.
        from ipykernel.comm import Comm as create_comm
    return create_comm(target_name="pekka", data=data)


def _bytes(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size} B"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.3g} GB"


def _magic(line: str) -> None:
    """\`%pekka\` lists what remote runs of this notebook have; \`%pekka get NAME …\` binds values here."""
    verb, *names = line.split() or ["list"]
    try:
        if verb == "get" and names:
            for name in names:
                value = get(name)
                if isinstance(value, RemoteValue):
                    print(f"\`{name}\` stays: {value!r}")
                else:
                    _returns.helper._namespace()[name] = value
        elif verb == "list" and not names:
            _print_table(values())
        else:
            print(_magic.__doc__)
    except NotHere as error:
        print(error)


def _print_table(rows: list[RemoteValue]) -> None:
    if not rows:
        print("No remote run of this notebook has values yet.")
    name = max((len(row.name) for row in rows), default=0)
    kind = max((len(row.type) for row in rows), default=0)
    for row in rows:
        state = row.look if row.stays is None else f"stays there: {row.stays}"
        print(f"{row.name:<{name}}  {row.type:<{kind}}  {_bytes(row.size):>8}  {state}"[:160])


def _register() -> None:
    from IPython import get_ipython

    get_ipython().register_magic_function(_magic, "line", "pekka")
`
  ]
]
