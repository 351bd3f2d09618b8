"""`pip install x` says whether x is here, and if it isn't, how it gets here: before the run, not while it goes on."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata

LAYERS = ("/srv/pekka/layer", "/srv/pekka/environment")

#: Options of `pip install` that take a value in the next word.
WITH_VALUE = frozenset(
    "-r --requirement -c --constraint -e --editable -i --index-url --extra-index-url -f --find-links -t --target --prefix "
    "--platform --python-version --root --src --upgrade-strategy --only-binary --no-binary --trusted-host --timeout "
    "--retries --proxy --cache-dir --log --cert --default-timeout".split()
)
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)$")


def requirements(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The packages of an install command, and what else it names (files, addresses)."""
    packages, others = [], []
    rest = iter(words)
    for word in rest:
        if word in WITH_VALUE:
            value = next(rest, "")
            if word in ("-r", "--requirement", "-e", "--editable"):
                others.append(value)
        elif word.startswith("-"):
            continue
        elif re.search(r"[/\\@]|://|^\.|\.(whl|zip|gz)$", word):
            others.append(word)
        else:
            packages.append(word)
    return packages, others


def _fits(version: str, specifier: str) -> bool:
    if not specifier:
        return True
    try:
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(specifier).contains(version, prereleases=True)
    except Exception:  # no `packaging`, or no specifier: the version is shown, people can compare
        return True


def state(requirement: str) -> tuple[bool, str]:
    """Whether a package is here as it is asked for, and a sentence that says so."""
    match = _NAME.match(requirement)
    if match is None:
        return False, f"{requirement} is no package name."
    name, _, specifier = match.groups()
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False, f"{name} is not here."
    if not _fits(found.version, specifier):
        return False, f"{name} {found.version} is here, {specifier} is asked for."
    added = str(found.locate_file("")).rstrip("/") in LAYERS
    why = "it was added before the run" if added else "it belongs to the environment"
    return True, f"{name} {found.version} is here already: {why}."


def install(words: Sequence[str]) -> int:
    packages, others = requirements(words)
    states = [(requirement, *state(requirement)) for requirement in packages]
    for _, here, sentence in states:
        if here:
            print(sentence)
    missing = [requirement for requirement, here, _ in states if not here]
    for _, here, sentence in states:
        if not here:
            print(sentence, file=sys.stderr)
    for other in others:
        print(f"{other} is not installed: only packages by name are.", file=sys.stderr)
    if missing or others:
        print(
            "Nothing can be installed while the code runs: there is no network here. Packages are added before a run:\n"
            + "".join(f"  pekka run --with {shlex.quote(one)} …\n" for one in missing)
            + "or write `%pip install …` at the beginning of a line of a cell that you send, with the name of the package.",
            file=sys.stderr,
        )
        return 1
    return 0


def main(args: Sequence[str] | None = None) -> int:
    words = [word for word in (sys.argv[1:] if args is None else args)]
    while words and words[0].startswith("-") and words[0] not in ("--version", "-V"):
        words.pop(0)
    command = words[0] if words else ""
    if command == "install":
        return install(words[1:])
    if command in ("list", "freeze"):
        found = {one.metadata["Name"]: one.version for one in metadata.distributions() if one.metadata["Name"]}
        for name in sorted(found, key=str.lower):
            print(f"{name}=={found[name]}")
        return 0
    if command == "show":
        return max([_show(name) for name in words[1:]], default=1)
    if command in ("--version", "-V"):
        print(f"No pip: packages are added before a run (python {sys.version_info.major}.{sys.version_info.minor})")
        return 0
    print(f"pip {command} can't be used here: packages are added before a run, `pekka run --with NAME`.", file=sys.stderr)
    return 1


def _show(name: str) -> int:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        print(f"{name} is not here.", file=sys.stderr)
        return 1
    print(f"Name: {found.metadata['Name']}\nVersion: {found.version}\nSummary: {found.metadata['Summary']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
