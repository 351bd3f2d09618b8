"""Turns what happens in a task into records, within the limits of output."""

from __future__ import annotations

import time
from typing import Any

from .limits import Limits
from .output import Coalescer, TextGate, TotalBudget, tail_of
from .records import MAX_PAYLOAD_BYTES, Header, RecordWriter, plain, split_data, to_json

#: What any record costs of the output limit besides its content, so that a million empty ones are bounded too.
RECORD_COST = 64
#: Metadata of a display: sizes of pictures and the like. More is left out.
MAX_METADATA_BYTES = 64 << 10
#: Of an error: its message and each line of its traceback, in characters; and the lines.
MAX_ERROR_TEXT = 64 << 10
MAX_TRACEBACK_TEXT = 16 << 10
MAX_TRACEBACK_LINES = 60

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET_NOTE = "\n(A widget: shown as text, because it doesn't work from a distance.)"


def middle_cut(text: str, size: int) -> str:
    """`text`, or its beginning and end with a note between."""
    if len(text) <= size:
        return text
    half = size // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


class Reporter:
    def __init__(self, writer: RecordWriter, limits: Limits) -> None:
        self._writer = writer
        self._limits = limits
        self._started = time.monotonic()
        self.total = TotalBudget(limits.output_bytes)
        self._gates: dict[str | None, TextGate] = {}
        self._told: set[str | None] = set()
        #: Outputs refused in a cell since the last marker: bytes.
        self._refused: dict[str, int] = {}
        self._marked: set[str] = set()
        self._failed: set[str] = set()
        self.coalescer = Coalescer(self._forward)

    @property
    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self._started) * 1000)

    def send(self, header: Header, payload: list[bytes] | None = None) -> None:
        """A record that no limit stops."""
        self._writer.put({**header, "t": self.elapsed_ms}, payload or [])

    def text(self, cell: str | None, name: str, data: bytes) -> None:
        """Text of a cell, or bytes of a script (`cell` None)."""
        self.coalescer.add(cell, name, data)

    def _gate(self, cell: str | None) -> TextGate:
        gate = self._gates.get(cell)
        if gate is None:
            # A script is no cell: only the limit of the whole output holds for it, so that its bytes stay exact below.
            limit = self._limits.output_bytes if cell is None else self._limits.cell_text_bytes

            def emit(name: str, data: bytes) -> None:
                if cell is None:
                    self.send({"type": "stream", "cell": None, "name": name}, [data])
                else:
                    self.send({"type": "stream", "cell": cell, "name": name, "text": data.decode("utf-8", "replace")})

            def mark(kept: int, cut: int) -> None:
                self._mark(cell, "text", kept, cut)

            head = limit if cell is None else limit // 2
            gate = TextGate(self.total, emit, mark, head=head, limit=limit, tail=tail_of(limit), text=cell is not None)
            self._gates[cell] = gate
        return gate

    def _mark(self, cell: str | None, what: str, kept: int, cut: int) -> None:
        self.send({"type": "truncated", "cell": cell, "what": what, "keptBytes": kept, "cutBytes": cut})

    def _forward(self, cell: str | None, name: str, data: bytes) -> None:
        gate = self._gate(cell)
        gate.feed(name, data)
        if gate.holding and cell not in self._told:
            self._told.add(cell)
            if cell is not None:
                self.send({"type": "progress", "fraction": None, "text": "So much text: the rest is shown at the end."})

    def settle(self, cell: str) -> None:
        """Sends the text before something that isn't text."""
        self.coalescer.flush()
        gate = self._gates.get(cell)
        if gate is not None:
            gate.release(final=False)

    def _admit(self, cell: str, size: int) -> bool:
        size += RECORD_COST
        self.total.seen += size
        if size <= min(MAX_PAYLOAD_BYTES, self.total.room(tail_of(self.total.limit))):
            self.total.kept += size
            return True
        self._refused[cell] = self._refused.get(cell, 0) + size
        if cell not in self._marked:
            self._marked.add(cell)
            self._mark_refused(cell)
        return False

    def _mark_refused(self, cell: str) -> None:
        size = self._refused.pop(cell, 0)
        if size > 0:
            self._mark(cell, "output", self.total.kept, size)

    def display(self, header: Header, data: Any, metadata: Any, transient: Any = None) -> None:
        """display_data, update_display_data, execute_result. What comes from the kernel is whatever user code made."""
        cell = header["cell"]
        self.settle(cell)
        data = dict(data) if isinstance(data, dict) else {}
        if data.pop(WIDGET_VIEW, None) is not None:
            data["text/plain"] = f"{data.get('text/plain', '')}{WIDGET_NOTE}".lstrip("\n")
        if PLOTLY in data:
            # plotly gives no text, and where no page can draw it (a terminal) nothing would be seen.
            data.setdefault("text/plain", "A plotly figure")
        data = {str(mime)[:256]: value for mime, value in data.items()}
        small, parts, payload = split_data(data)
        metadata = metadata if isinstance(metadata, dict) else {}
        if len(to_json(metadata)) > MAX_METADATA_BYTES:
            metadata = {}
        record = {**header, "data": small, "metadata": {str(key)[:256]: value for key, value in metadata.items()}}
        if isinstance(transient, dict) and isinstance(transient.get("display_id"), str):
            record["transient"] = {"display_id": transient["display_id"][:256]}
        if parts:
            record["parts"] = parts
        if self._admit(cell, len(to_json(small)) + sum(len(part) for part in payload)):
            self.send(record, payload)

    def clear(self, cell: str, wait: bool) -> None:
        self.settle(cell)
        if self._admit(cell, 0):
            self.send({"type": "clear_output", "cell": cell, "wait": wait})

    def error(self, cell: str, content: dict[str, Any]) -> None:
        """An error passes even when the output is used up (once per cell: user code can make such messages too)."""
        self.settle(cell)
        lines = content.get("traceback")
        lines = [middle_cut(str(line), MAX_TRACEBACK_TEXT) for line in lines] if isinstance(lines, list) else []
        if len(lines) > MAX_TRACEBACK_LINES:
            half = MAX_TRACEBACK_LINES // 2
            lines = [*lines[:half], f"… {len(lines) - 2 * half} frames left out …", *lines[-half:]]
        record = {
            "type": "error",
            "cell": cell,
            "ename": str(content.get("ename"))[:256],
            "evalue": middle_cut(str(content.get("evalue")), MAX_ERROR_TEXT),
            "traceback": lines,
        }
        first = cell not in self._failed
        self._failed.add(cell)
        if self._admit(cell, len(to_json(record))) or first:
            self.send(plain(record))

    def finish_text(self, cell: str | None) -> None:
        """All text of a cell is there: sends what was held."""
        self.coalescer.flush()
        gate = self._gates.get(cell)
        if gate is not None:
            gate.release(final=True)
        if cell is not None:
            self._mark_refused(cell)

    def finish(self) -> None:
        for cell in list(self._gates):
            self.finish_text(cell)
        for cell in list(self._refused):
            self._mark_refused(cell)
