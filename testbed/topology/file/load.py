"""Loading a topology file: text, template, YAML, and what is wrong with it by line and column."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from testbed.errors import DocumentError, Problem, TopologyError, UsageError, dotted, shorten
from testbed.topology.document import NO_FILES, Document, resolve_with
from testbed.topology.file.position import Composed, Flaw, Position, SyntaxFlawError, compose
from testbed.topology.file.template import MAX_SIZE, render
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Source:
    """A topology file that has been read: its name in messages, its folder and its YAML.

    `files` are the texts of files that it names which need not be read from the folder.
    """

    file: str
    directory: Path
    text: str
    composed: Composed
    files: Mapping[str, str] = field(default_factory=lambda: NO_FILES)

    def resolve(self, numbers: Numbers | None = None) -> tuple[Document, Topology]:
        """Return the file's document, and what it is an installation of.

        Raises TopologyError with every problem found.
        """
        files: dict[str, str] = {}

        def read(name: str) -> str:
            known = self.files.get(name)
            files[name] = read_config(self.directory, name) if known is None else known
            return files[name]

        data: dict[str, Any] = self.composed.root.plain()
        with self.placing():
            topology = resolve_with(data, read, numbers)
        if self.composed.flaws:
            raise self._error(DocumentError(()))
        return Document(data, files, self.text), topology

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Say where in the file it is what a DocumentError of the block is about."""
        try:
            yield
        except DocumentError as error:
            raise self._error(error) from None

    def _error(self, error: DocumentError) -> TopologyError:
        """The YAML's own flaws and the document's violations, in the order of the file."""
        found: dict[tuple[Position, str], Problem] = {}
        rows = [(flaw.position, flaw.path, flaw.message, flaw.hint) for flaw in self.composed.flaws]
        for each in error.violations:
            position = self.composed.locate(each.path, key=each.at_key)
            rows.append((position, each.path, each.message, each.remedy))
        for position, path, message, hint in rows:
            problem = _problem(self.file, position, dotted(path), message, hint)
            found.setdefault((position, problem.message), problem)
        problems = sorted(found.values(), key=lambda problem: (problem.line, problem.column))
        return TopologyError(problems, error.violations)


def load(path: str | os.PathLike[str], settings: Mapping[str, str] = NO_SETTINGS) -> Topology:
    """Read, check and resolve a topology file.

    It is a Jinja2 template when its name ends in ``.j2`` or `settings` (the
    template's variables) are given. Raises UsageError when the file cannot be
    read and TopologyError, with every problem found, when it is not right.
    """
    return read(path, settings).resolve()[1]


def load_document(
    path: str | os.PathLike[str], settings: Mapping[str, str] = NO_SETTINGS
) -> Document:
    """Read and check a topology file, as `load` does, and return its document."""
    return read(path, settings).resolve()[0]


def read(path: str | os.PathLike[str], settings: Mapping[str, str] = NO_SETTINGS) -> Source:
    """Read a topology file, without looking at what it says; errors as of `load`."""
    file = Path(path)
    try:
        data = _read(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read the topology {file}: {reason}") from None
    except ValueError as error:
        raise UsageError(f"cannot read the topology {file}: {error}") from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        flaw = Flaw(Position(line, column), (), "is not UTF-8 text", "save the file as UTF-8")
        raise _fatal(str(file), flaw) from None
    template = file.name.endswith(".j2") or bool(settings)
    return parse(text, file=str(file), settings=settings, template=template)


def loads(
    text: str,
    *,
    file: str = "topology.yaml",
    settings: Mapping[str, str] = NO_SETTINGS,
    template: bool = False,
    numbers: Numbers | None = None,
) -> Topology:
    """Check and resolve a topology's text; `file` is its name in messages.

    Devices' own configuration files are looked for beside `file`. With
    `template` the text is rendered first; positions then refer to the rendered
    text, and messages say so. Objects keep the `numbers` that they had. Raises TopologyError.
    """
    return parse(text, file=file, settings=settings, template=template).resolve(numbers)[1]


def parse(
    text: str,
    *,
    file: str,
    settings: Mapping[str, str] = NO_SETTINGS,
    template: bool = False,
) -> Source:
    """Render and compose a topology's text; arguments and errors as of `loads`."""
    if len(text) > MAX_SIZE:
        message = f"has {len(text)} characters; a topology has at most {MAX_SIZE}"
        raise _fatal(file, Flaw(Position(1, 1), (), message))
    directory = Path(file).parent
    try:
        if template:
            text = render(text, settings)
            file = f"{file} (rendered)"
        return Source(file, directory, text, compose(text))
    except SyntaxFlawError as error:
        raise _fatal(file, error.flaw) from None


def _fatal(file: str, flaw: Flaw) -> TopologyError:
    return TopologyError(
        [_problem(file, flaw.position, dotted(flaw.path), flaw.message, flaw.hint)]
    )


def _problem(file: str, at: Position, name: str, message: str, hint: str | None) -> Problem:
    return Problem(file, at.line, at.column, name, message, hint)


def _read(file: Path) -> bytes:
    """The bytes of a regular file of reasonable size."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise ValueError("it is a directory")
        if stat.S_ISREG(mode) and os.fstat(stream.fileno()).st_size > 4 * MAX_SIZE:
            raise ValueError(f"it is larger than {4 * MAX_SIZE} bytes")
        if not stat.S_ISREG(mode):
            os.set_blocking(stream.fileno(), True)  # a pipe: load <(generate) is fine
        return stream.read(4 * MAX_SIZE)


def read_config(directory: Path, name: str) -> str:
    """Read a device's own configuration. Raises ValueError with a sentence if that fails."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError("must be a path below the topology file's directory")
    file = directory / name
    try:
        if not file.resolve().is_relative_to(directory.resolve()):
            raise ValueError("is a link out of the topology file's directory")
        if not file.is_file():
            raise ValueError(f"there is no file {shorten(str(file))}")
        return _read(file).decode()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
