"""YAML with the position of every key and value.

The text is composed from parser events instead of by PyYAML's constructors,
so that nesting, aliases and size are bounded, duplicate keys are seen, and
scalars mean what they mean in YAML 1.2: `on`, `010`, `1:30` and dates are
strings, not the surprises of YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from testbed.errors import Path, shorten

MAX_DEPTH = 32
MAX_NODES = 200_000
MERGE_KEY = "<<"

PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS = {"!", "tag:yaml.org,2002:str"}
_COLLECTION_TAGS = {"!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})\.[0-9]{1,19}")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; line and column count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Node:
    """A YAML value: `value` is a scalar, a list of nodes, or a mapping of keys to nodes.

    `keys` are the positions of a mapping's keys; `size` counts the nodes
    below, aliases expanded.
    """

    position: Position
    value: Any
    keys: dict[str, Position] = field(default_factory=dict)
    size: int = 1

    def plain(self) -> Any:
        """The value as plain dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, step: str | int) -> Node | None:
        """The node under a key or index; None when there is none."""
        if isinstance(self.value, dict):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]  # type: ignore[no-any-return]
        return None


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML itself, at a position and a path in the data."""

    position: Position
    path: Path
    message: str
    hint: str | None = None


class SyntaxFlawError(Exception):
    """The text is not YAML that can be read at all."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


@dataclass(slots=True)
class Composed:
    """A composed YAML document and what was wrong with it short of being unreadable."""

    root: Node
    flaws: list[Flaw]

    def locate(self, path: Path, *, key: bool = False) -> Position:
        """Where `path` is, or the deepest part of it that is in the file.

        With `key` the position of the key itself instead of its value's.
        """
        node = self.root
        position = node.position
        for step in path:
            parent, child = node, node.child(step)
            if child is None:
                return position
            wants_key = key or isinstance(child.value, dict)
            at_key = parent.keys.get(step) if wants_key and isinstance(step, str) else None
            node, position = child, at_key or child.position
        return position


def compose(text: str) -> Composed:
    """Parse one YAML document.

    Raises SyntaxFlawError when it cannot be read as YAML, nests too deeply or is too large.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start)
        column = error.start - (text.rfind("\n", 0, error.start) + 1)
        flaw = Flaw(Position(line + 1, column + 1), (), "is not valid Unicode text")
        raise SyntaxFlawError(flaw) from None
    try:
        return _Composer(iter(yaml.parse(text, Loader=PARSER))).document()
    except yaml.YAMLError as error:
        raise SyntaxFlawError(_syntax_flaw(text, error)) from None


def _syntax_flaw(text: str, error: yaml.YAMLError) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        parts = [part for part in (error.context, error.problem) if part]
        reason = shorten(", ".join(parts), 200)
    else:
        offset = min(int(getattr(error, "position", 0) or 0), len(text))
        start = text.rfind("\n", 0, offset) + 1
        position = Position(text.count("\n", 0, offset) + 1, offset - start + 1)
        reason = shorten(str(getattr(error, "reason", error)), 200)
    hint = "check the indentation and quotes just before this place"
    lines = text.split("\n")
    here = lines[position.line - 1][position.column - 1 :] if position.line <= len(lines) else ""
    if here.startswith("\t"):
        hint = "indent with spaces; YAML does not allow tabs there"
    if here.startswith(("%", "{%")):
        hint = "a Jinja2 template needs a file name that ends in .j2, or --set key=value"
    return Flaw(position, (), f"is not valid YAML: {reason}", hint)


def _position(event: Any) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)


def scalar(text: str) -> Any:
    """The value of a plain scalar: null, true, false, a decimal number, else the text itself."""
    lowered = text.lower() if text in {text.lower(), text.upper(), text.capitalize()} else text
    if lowered in _WORDS:
        return _WORDS[lowered]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class _Composer:
    """Builds nodes from parser events, bounded in depth and size."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.flaws: list[Flaw] = []
        self.total = 0

    def document(self) -> Composed:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    message = "is a second YAML document; a topology file has one"
                    raise self._fatal(event, (), message)
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, (), 0)
        if root is None:
            flaw = Flaw(Position(1, 1), (), "the file is empty", "start with `testbed: 1`")
            raise SyntaxFlawError(flaw)
        return Composed(root, self.flaws)

    def _fatal(
        self, event: Any, path: Path, message: str, hint: str | None = None
    ) -> SyntaxFlawError:
        return SyntaxFlawError(Flaw(_position(event), path, message, hint))

    def _flaw(self, event: Any, path: Path, message: str, hint: str | None = None) -> None:
        self.flaws.append(Flaw(_position(event), path, message, hint))

    def _node(self, event: Any, path: Path, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fatal(event, (), f"nests deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            node = self.anchors.get(anchor)
            if node is None:
                message = f"refers to the anchor &{shorten(anchor)}, which is not defined above"
                raise self._fatal(event, path, message)
            self._count(event, node.size)
            return node
        self._count(event, 1)
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, path, depth)
        else:
            node = Node(_position(event), self._scalar(event, path))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _count(self, event: Any, more: int) -> None:
        self.total += more
        if self.total > MAX_NODES:
            message = f"has more than {MAX_NODES} values with aliases expanded"
            raise self._fatal(event, (), message, "split the installation into several topologies")

    def _scalar(self, event: Any, path: Path) -> Any:
        if event.tag not in (None, *_STRING_TAGS):
            self._flaw(event, path, f"has the YAML tag {shorten(event.tag)}", "leave the tag out")
        plain = not event.style and event.tag is None
        return scalar(event.value) if plain else event.value

    def _tag(self, event: Any, path: Path) -> None:
        if event.tag not in (None, *_COLLECTION_TAGS):
            self._flaw(event, path, f"has the YAML tag {shorten(event.tag)}", "leave the tag out")

    def _sequence(self, event: Any, path: Path, depth: int) -> Node:
        self._tag(event, path)
        items: list[Node] = []
        for item in self.events:
            if isinstance(item, yaml.SequenceEndEvent):
                break
            items.append(self._node(item, (*path, len(items)), depth + 1))
        return Node(_position(event), items, size=1 + sum(item.size for item in items))

    def _mapping(self, event: Any, path: Path, depth: int) -> Node:
        self._tag(event, path)
        values: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        for key_event in self.events:
            if isinstance(key_event, yaml.MappingEndEvent):
                break
            key = self._key(key_event, path)
            value = self._node(next(self.events), (*path, key), depth + 1)
            if key in values:
                line = keys[key].line
                message = f"the key is a duplicate; it was first used on line {line}"
                self._flaw(key_event, (*path, key), message, "keep one of them")
            elif key == MERGE_KEY and not key_event.style:
                hint = "write out the keys, or use a Jinja2 template for repetition"
                self._flaw(key_event, (*path, key), "YAML merge keys are not supported", hint)
            else:
                values[key] = value
                keys[key] = _position(key_event)
        size = 1 + sum(node.size for node in values.values())
        return Node(_position(event), values, keys, size)

    def _key(self, event: Any, path: Path) -> str:
        self._count(event, 1)
        if not isinstance(event, yaml.ScalarEvent):
            hint = "a value that starts with {{ needs a file name that ends in .j2"
            raise self._fatal(event, path, "a key must be a plain word", hint)
        return str(event.value)
