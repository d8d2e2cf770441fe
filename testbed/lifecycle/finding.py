"""Find a topology by the name of its file, or by its own name among those that are known."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import UsageError

SUFFIXES = (".yaml", ".yml", ".yaml.j2")
FOLDER = "topologies"
_PACKAGE = Path(__file__).parents[1]
_IN_WHEEL, _IN_REPOSITORY = _PACKAGE / FOLDER, _PACKAGE.parent / FOLDER
EXAMPLES = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_REPOSITORY
HERE = Path()
HEAD = 16384  # characters in which a topology file has its comment and its first key
_FIRST_KEY = re.compile(r"^testbed:", re.MULTILINE)
_MODELINE = "yaml-language-server:"  # which tells editors the schema


@dataclass(frozen=True, slots=True)
class Known:
    """A topology with a name: its file, and the first line of the comment that it begins with."""

    name: str
    file: Path
    story: str


def find(word: str | os.PathLike[str], *folders: Path) -> Path:
    """Return the file of a topology that is given as a path or by name.

    A path is relative to one of `folders` (the current one). A name is a file's without its
    suffix, such as ``two-racks`` or ``broken/wrong-asn``, and is looked for in `folders`, in
    ``topologies`` below them, and among the examples. Raises UsageError when there is none.
    """
    places = folders or (HERE,)
    for path in _candidates(os.fspath(word), places):
        if os.path.exists(path) and not path.is_dir():  # noqa: PTH110 - false for any OSError
            return path
    path = places[-1] / word
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise _unknown(os.fspath(word), places) from None
    except OSError:  # who reads it is told why it cannot be
        pass
    return path


def _candidates(word: str, places: tuple[Path, ...]) -> Iterator[Path]:
    yield from (place / word for place in places)
    for folder in (*places, *(place / FOLDER for place in places), EXAMPLES):
        yield from (folder / f"{word}{suffix}" for suffix in SUFFIXES)


def known(*folders: Path) -> list[Known]:
    """Return all topologies that `find` knows by name, in the order in which it looks for them."""
    places = folders or (HERE,)
    found: dict[str, Known] = {}
    for place in places:
        _add(found, place, ("*",))
    for folder in (*(place / FOLDER for place in places), EXAMPLES):
        _add(found, folder, ("*", "*/*"))
    return list(found.values())


def _add(found: dict[str, Known], folder: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for suffix in SUFFIXES:
            files = folder.glob(pattern + suffix)
            names = {f.relative_to(folder).as_posix().removesuffix(suffix): f for f in files}
            for name, file in sorted(names.items()):
                if name not in found and (comment := _comment(file)) is not None:
                    found[name] = Known(name, file, _story(comment))


def _comment(file: Path) -> str | None:
    """What a topology file has before its first key; None for a file that is none."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(HEAD)
    except OSError:
        return None
    first = _FIRST_KEY.search(text)
    return text[: first.start()] if first else None


def _story(comment: str) -> str:
    """The first line with words in it, "" where there is none."""
    for line in comment.splitlines():
        words = line.removeprefix("#").strip()
        if line.startswith("#") and words and not words.startswith(_MODELINE):
            return words
    return ""


def _unknown(word: str, places: tuple[Path, ...]) -> UsageError:
    names = {entry.name.rpartition("/")[2]: entry.name for entry in known(*places)}
    stem = word.rpartition("/")[2].partition(".")[0]
    close = difflib.get_close_matches(stem, names, n=1)
    hint = (
        f"did you mean {names[close[0]]!r}?" if close else "`testbed list --topologies` lists all"
    )
    return UsageError(f"there is no topology {word[:200]!r}", hint=hint)
