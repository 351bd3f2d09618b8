"""How values are written and read, on both ends: in the user's kernel and in the sandbox (DESIGN §6, Values).

`encode` takes exact types only and imports nothing that the process hasn't imported itself; what it can't write raises
`CannotTravel` with a reason for people. `decode` reads the safe codecs (`json`, `npy`, `arrow`, `text`, `png`): every size that a
header claims is compared with the bytes that are there before anything is allocated for it, and nothing is ever executed.
The codecs that execute (`module`, `source`, `pickle`) are read by the sandbox alone, in values.py. Python ≥ 3.9.
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
    """The value's type as people call it: `DataFrame`, `list`, `sqlite3.Connection`. Never runs code of the value."""
    kind = type(value)
    module, name = kind.__module__, kind.__qualname__
    if not isinstance(module, str) or not isinstance(name, str):
        return "object"
    short = module in ("builtins", "__main__") or module.partition(".")[0] in ("numpy", "pandas", "polars", "torch")
    return (name if short else f"{module}.{name}")[:200]


# ---- encoding


def encode(value: Any, limit: int = 1 << 40) -> Encoded:
    """Writes a value by the first safe codec that keeps it.

    :raises CannotTravel: none does, or it takes more than `limit` bytes"""
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
    """A small number or text, or a list or dict of such, as `encode` writes it, without its walk. None for all else."""
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
    """Makes a tree of plain JSON; everything else becomes `{"$t": type, "v": …}`."""

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
    header += b" " * (-(len(header) + 13) % 64) + b"\n"
    body = array.T if fortran else array
    body = body.reshape(-1).view(numpy.uint8).data if array.size and array.dtype.itemsize else b""
    return [b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header, body]


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


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(rb"[\[\]{}]")


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
    """Reads small JSON without any part of our own, at once: `(value,)`. None for all else, of which `decode_json` says what it is.

    What it takes that takes, with the same value: its brackets are too few to be nested deeply, no number is long, and no text has
    a `$`, which begins every tag."""
    if len(data) > _PLAIN_BYTES or data.count(b"[") + data.count(b"{") > _PLAIN_BRACKETS:
        return None
    if b"$" in data or b"\\u" in data or _LONG_NUMBER.search(data):
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
    if len(view) < 12 or bytes(view[:6]) != b"\x93NUMPY" or bytes(view[6:8]) not in (b"\x01\x00", b"\x02\x00"):
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
    if bytes(view[:8]) != b"\x89PNG\r\n\x1a\n" or len(view) < 45 or bytes(view[12:16]) != b"IHDR":
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
