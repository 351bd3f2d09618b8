"""Two libraries ask what kind of page stands at the other end and take an ordinary notebook with widgets for granted.

- `tqdm.notebook`, and `tqdm.auto` which takes it in a kernel, draw with a widget. A widget doesn't work from a distance, so
  that they draw the bar of plain tqdm here: text with carriage returns, on stderr.
- plotly, in a kernel, hands out its own MIME type alone, which only some pages can draw. Here it gives HTML too, with its
  script, as it does by itself where it can't tell (`plotly.io.renderers.default = "plotly_mimetype+notebook"`).

Nothing is set in the environment: other programs would see it. Plain `tqdm` is not touched; nor is a script, where nothing
is a notebook. What the user sets counts. A library that has changed, or another one of that name, stays as it is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from types import ModuleType
from typing import Any

from .after_import import after_import


def _text_bars(module: ModuleType) -> None:
    plain: Any = getattr(module, "std_tqdm", None)
    widget: Any = getattr(module, "tqdm_notebook", None)
    if not (isinstance(plain, type) and isinstance(widget, type) and issubclass(widget, plain)):
        return

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        # What only the widget knows: whether it is shown at once, and a width as CSS has it ("100%", "400px").
        kwargs.pop("display", None)
        if isinstance(kwargs.get("ncols"), str):
            kwargs.pop("ncols")
        super(bar, self).__init__(*args, **kwargs)

    names = {"__init__": __init__, "__module__": module.__name__, "__doc__": plain.__doc__}
    bar: Any = type(widget.__name__, (plain,), names)

    def trange(*args: Any, **kwargs: Any) -> Any:
        """tqdm(range(*args), **kwargs)"""
        return bar(range(*args), **kwargs)

    for name in ("tqdm", "tqdm_notebook"):
        setattr(module, name, bar)
    for name in ("trange", "tnrange"):
        setattr(module, name, trange)


def _figures_as_html(module: ModuleType) -> None:
    if "PLOTLY_RENDERER" in os.environ:
        return
    with suppress(AttributeError, ValueError):
        if module.renderers.default == "plotly_mimetype":
            module.renderers.default = "plotly_mimetype+notebook"


def plant() -> None:
    """For the kernel, before user code runs."""
    after_import({"tqdm.notebook": _text_bars, "plotly.io._renderers": _figures_as_html})
