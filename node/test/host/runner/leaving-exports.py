"""What the user's kernel keeps of values while they are sent. Prints JSON, a word per check. Run with the image's Python:
`python leaving-exports.py CODECS_FILE KERNEL_FOLDER`."""

import binascii
import functools
import json
import pickle
import sys
import tempfile
import threading
import time

from IPython.core.interactiveshell import InteractiveShell
from user_kernel import load_helper

shell = InteractiveShell.instance()
codecs, kernel, _ = load_helper(sys.argv[1], sys.argv[2])
exports = kernel.exports

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow  # noqa: E402

names = shell.user_ns
LARGE = exports.MEMORY_BYTES + 800


def said(answer):
    ((mime, text),) = answer._repr_mimebundle_().items()
    return binascii.a2b_base64(text) if mime.endswith("bytes") else json.loads(text)


def export(*wanted):
    answer = said(kernel.export(list(wanted)))
    return answer["token"], {row["name"]: row for row in answer["values"]}


def read(token, row, step=1 << 20):
    parts = [said(kernel.chunk(token, row["name"], at, step)) for at in range(0, row["size"], step)]
    return b"".join(parts)


def again(token, row):
    return codecs.decode(row["codec"], read(token, row))


found = {}

# Two runs at once: what one looks at, sends and has let go is nothing to the other, whatever the names.
names["big"] = np.arange(LARGE // 8, dtype="f8")
names["few"] = np.arange(10)
names["table"] = pd.DataFrame({"a": np.arange(LARGE // 8), "b": "x"})
names["text"] = "é" * LARGE
was = {name: names[name].copy() for name in ("big", "few", "table")}
first, rows = export("big", "few", "table", "text")
half = said(kernel.chunk(first, "big", 0, 1 << 20))
kernel.survey(["few", "other", "big"])
names["big"] += 1
names["few"] += 1
names["table"]["a"] += 1
second, others = export("big", "few")
found["apart"] = [bool((again(second, others[name]) == was[name] + 1).all()) for name in ("big", "few")]
kernel.release(second)
found["released"] = [said(kernel.chunk(second, "big", 0, 10)), said(kernel.chunks(second, ["few"]))]
# … and they are as they were, from the first byte to the last.
found["as_it_was"] = [bool((again(first, rows[name]) == was[name]).all()) for name in ("big", "few")]
found["as_it_was"].append(codecs.as_pandas(again(first, rows["table"])).equals(was["table"]))
found["as_it_was"].append(again(first, rows["text"]) == names["text"] and half == read(first, rows["big"])[: 1 << 20])
found["small"] = said(kernel.chunks(first, ["few"])) == read(first, rows["few"])
kept = exports.of(first)._values
found["in_files"] = [type(piece).__name__ for name in ("big", "table", "text") for piece in kept[name]]
kernel.release(first)
found["left"] = len(exports._exports)

# A cell that runs changes it while a subshell writes it.
keep = exports.Export.keep
names["view"] = names["big"][::2]


def meanwhile(self, name, codec, pieces):
    size = keep(self, name, codec, pieces)
    names[name][-1] -= 5
    return size


def aside(*wanted):
    told = []
    thread = threading.Thread(target=lambda: told.append(export(*wanted)))
    thread.start()
    thread.join()
    kernel.release(told[0][0])
    return told[0][1]


arrays = ("big", "few", "view")
found["calm"] = [row["reason"] for row in aside(*arrays).values()]
exports.Export.keep = meanwhile
found["torn"] = [row["reason"] for row in aside(*arrays).values()]
# On the main thread no cell runs meanwhile.
found["alone"] = export("few")[1]["few"]["reason"]
exports.Export.keep = keep
exports._exports.clear()

# Nothing is kept without bound, or for ever.
exports.MAX_HELD = 2 * LARGE
first, _ = export("big")
second, rows = export("big", "few", "table")
found["bounded"] = [rows["few"]["reason"], rows["table"]["reason"]]
# … but nobody waits for a page that seems to be gone.
exports.of(first).used -= exports.STALE_SECONDS
third, rows = export("big")
found["makes_room"] = [rows["big"]["reason"], exports.of(first) is None, exports.of(second) is not None]
kernel.release(second)
kernel.release(third)
exports.MAX_HELD = 4 << 30
tokens = [export("few")[0] for _ in range(exports.MAX_EXPORTS + 1)]
found["newest"] = [exports.of(token) is not None for token in (tokens[0], tokens[1], tokens[-1])]
for token in tokens[3:]:
    kernel.release(token)
exports.of(tokens[1]).used -= exports.IDLE_SECONDS
exports.of(tokens[2]).used -= exports.IDLE_SECONDS - 60
exports._sweep()
found["next"] = 0 < exports._timer.interval <= 60
found["idle"] = [exports.of(token) is not None for token in tokens[1:3]]
kernel.release(tokens[2])
found["timers"] = exports._timer is None
hours, exports.IDLE_SECONDS = exports.IDLE_SECONDS, 0.01
export("few")
deadline = time.monotonic() + 60
while exports._exports and time.monotonic() < deadline:
    time.sleep(0.01)
found["by_itself"] = len(exports._exports)
exports.IDLE_SECONDS = hours

# Without room on the disk, an array stays; what is a copy anyway is kept in memory.
tempfile.tempdir = "/nowhere"
token, rows = export("big", "text", "few")
found["no_room"] = [rows["big"]["reason"], rows["text"]["reason"], again(token, rows["text"]) == names["text"], rows["few"]["reason"]]
kernel.release(token)
tempfile.tempdir = None


# What holds code is for this Python alone, and names the cached functions that it needs; else any reads it.
shell.run_cell(
    """
import functools, collections
@functools.cache
def cached(): return 2
def maker(n):
    return lambda: n + cached()
made, count = maker(1), collections.Counter("aab")
"""
)
survey = {row["name"]: row for row in said(kernel.survey(["made", "count"]))["values"]}
found["python"] = [survey[name]["python"] for name in ("made", "count", "cached")]
found["needs"] = survey["made"]["needs"]
token, rows = export("made", "count")
found["python_then"] = [rows[name]["python"] for name in ("made", "count")]

# A copy with code takes along what that code reads: no secret goes so, without a row and a tick.
shell.run_cell(
    """
API_TOKEN, k, tokenizer = "sk-aaaaaaaaaaaaaaaaaaaaaaaa", 3, 4
def outer():
    own = API_TOKEN
    def deep(x): return [API_TOKEN for _ in x]
    def closes(x): return own
    def sets():
        global API_TOKEN
        API_TOKEN = 1
    def fine(x, token=None): return tokenizer + k + x
    return deep, closes, sets, lambda x, y=own: y, fine
within, closes, sets_it, default, fine = outer()
def named(x): return API_TOKEN
alias = named
def wraps(g): return lambda x: g(x)
wrapped = wraps(named)
class Holder: pass
held = Holder()
held.callback = lambda x: API_TOKEN
def inside():
    class Client:
        api_key = API_TOKEN
    return Client
client = inside()()
fine = [fine]
"""
)
secret = ["within", "closes", "sets_it", "default", "alias", "wrapped", "held", "client"]
survey = {row["name"]: row["reason"] for row in said(kernel.survey([*secret, "fine"]))["values"]}
token, rows = export(*secret)
found["secret"] = [survey[name] for name in secret] + [rows[name]["reason"] for name in secret]
found["no_secret"] = survey["fine"]

# Of Python's own names those are looked at that a cell has redefined.
shell.run_cell("vars, all = [2], 3")
own = ["print", "vars", "all", "open", "exit", "get_ipython"]
found["redefined"] = [row["name"] for row in said(kernel.survey(["k"], own))["values"]]

# A class of the standard library that has moved is named where all versions have it.
moved = type("PurePath", (), {"__module__": "pathlib._local"})
codec, pieces, _, _, python = kernel.write("moved", [moved, functools.partial(moved)], {}, 1 << 62)
found["moved"] = [codec, python, b"_local" in pieces[0].tobytes(), repr(pickle.loads(pieces[0])[0])]
print(json.dumps(found))
