"""Stands where pip would be: nothing can be installed while code runs, for there is no network. See __main__.py."""

__version__ = "0.0+pekka"


def main(args: "list[str] | None" = None) -> int:
    from pip.__main__ import main as run

    return run(args)
