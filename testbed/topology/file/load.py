"""Loading a topology file: text, template, YAML, form, references, derivation, rules."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from testbed.errors import Problem, TopologyError, UsageError
from testbed.topology import rules
from testbed.topology.derive import derive
from testbed.topology.file import references
from testbed.topology.file.position import Flaw, Position, SyntaxFlawError, compose, dotted, shorten
from testbed.topology.file.report import Report
from testbed.topology.file.template import MAX_SIZE, render
from testbed.topology.file.validate import validate
from testbed.topology.model import Topology
from testbed.topology.schema import TopologyForm

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


def load(path: str | os.PathLike[str], settings: Mapping[str, str] = NO_SETTINGS) -> Topology:
    """Read, check and resolve a topology file.

    It is a Jinja2 template when its name ends in ``.j2`` or `settings` (the
    template's variables) are given. Raises UsageError when the file cannot be
    read and TopologyError, with every problem found, when it is not right.
    """
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
    return loads(text, file=str(file), settings=settings, template=template)


def loads(
    text: str,
    *,
    file: str = "topology.yaml",
    settings: Mapping[str, str] = NO_SETTINGS,
    template: bool = False,
) -> Topology:
    """Check and resolve a topology's text; `file` is its name in messages.

    Devices' own configuration files are looked for beside `file`. With
    `template` the text is rendered first; positions then refer to the rendered
    text, and messages say so. Raises TopologyError.
    """
    if len(text) > MAX_SIZE:
        message = f"has {len(text)} characters; a topology has at most {MAX_SIZE}"
        raise _fatal(file, Flaw(Position(1, 1), (), message))
    directory = Path(file).parent
    try:
        if template:
            text = render(text, settings)
            file = f"{file} (rendered)"
        document = compose(text)
    except SyntaxFlawError as error:
        raise _fatal(file, error.flaw) from None
    report = Report(file, document)
    for flaw in document.flaws:
        report.flaw(flaw)
    form = _checked_form(document.root.plain(), report)
    if form is not None:
        topology = derive(form, report, lambda name: read_config(directory, name))
        rules.check(form, topology, report)
        if not report.problems:
            return topology
    raise TopologyError(report.sorted())


def _checked_form(data: object, report: Report) -> TopologyForm | None:
    """The form with everything that is wrong by itself, or refers to it, left out."""
    form = validate(data, report)
    while form is not None:
        rules.check_buildable(form, report)
        if not references.check(form, report) and report.absent == report.spoiled:
            break
        form = validate(data, report, silent=True)
    return form


def _fatal(file: str, flaw: Flaw) -> TopologyError:
    at = (file, flaw.position.line, flaw.position.column)
    return TopologyError([Problem(*at, dotted(flaw.path), flaw.message, flaw.hint)])


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
