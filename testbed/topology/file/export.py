"""A document as YAML: with the comments, the order and the style of the text that it is from.

Only what differs from that text is written anew; all else stays to the letter. What was
written is read again before it is given out: it is the document, or the whole of it is
written anew.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

import yaml

from testbed.topology.document import Document
from testbed.topology.file.position import MERGE_KEY, SyntaxFlawError, compose, scalar
from testbed.topology.file.spans import Span, spans

LONGEST_LINE = 96
PLAIN = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./+@%-]*")
BLANK = re.compile(r"[ \t]*")


def export(document: Document) -> str:
    """Write a document as YAML that loads to it again, in the way of the text that it is from.

    Raises ValueError where it has values that no topology file can have.
    """
    for text in (_edited(document), _block(document.data, 0).lstrip("\n") + "\n"):
        if _same(_read(text), document.data):
            return text
    raise ValueError("the document has values that no topology file can have")


def _edited(document: Document) -> str:
    """The document's text with what differs from it written anew."""
    old = _read(document.text)
    if not isinstance(old, dict):
        return ""
    root, loose = spans(document.text), frozenset[str]()
    while True:  # until no alias stands for what has been changed
        editor = _Editor(document.text, loose)
        editor.value(root, old, document.data, 0)
        if editor.touched <= loose:
            return editor.text_now()
        loose |= editor.touched


def _read(text: str) -> Any:
    """What the loader takes from a text; None where it refuses it."""
    try:
        composed = compose(text)
    except SyntaxFlawError:
        return None
    return None if composed.flaws else composed.root.plain()


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same, the order of keys aside."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


# Writing values


def _scalar(value: Any) -> str:
    """A scalar as the text that the loader takes for it."""
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and scalar(value) is value else _quoted(value)
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f") if math.isfinite(value) else str(value)
        return text if "." in text else f"{text}.0"
    return json.dumps(value)


def _quoted(text: str) -> str:
    quoted: str = yaml.safe_dump(text, default_style='"', width=math.inf, allow_unicode=True)
    return quoted.strip()


def _key(key: str) -> str:
    return key if PLAIN.fullmatch(key) and key != MERGE_KEY else _quoted(key)


def _flow(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _block(value: Any, indent: int) -> str:
    """A value as it follows a colon or a dash: in the same line if it is short, else below."""
    flow = _flow(value)
    nested = isinstance(value, Mapping | list | tuple) and bool(value)
    if not nested or (indent and indent + len(flow) <= LONGEST_LINE - 20):
        return f" {flow}"
    start = "\n" + " " * indent
    if isinstance(value, Mapping):
        rows = (f"{_key(key)}:{_block(item, indent + 2)}" for key, item in value.items())
    else:
        rows = (f"- {_block(item, indent + 2).lstrip()}" for item in value)
    return "".join(f"{start}{row}" for row in rows)


# Changing a text


@dataclass
class _Editor:
    """Collects what of a text has to be written anew for it to say something else.

    `loose` are the anchors whose aliases have to be written out; `touched` those in which
    something has been changed.
    """

    text: str
    loose: frozenset[str]
    touched: set[str] = field(default_factory=set)
    _edits: list[tuple[int, int, str]] = field(default_factory=list)
    _anchors: list[str] = field(default_factory=list)

    def text_now(self) -> str:
        """The text with all edits made."""
        text = self.text
        for start, end, new in sorted(self._edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def value(self, span: Span, old: Any, new: Any, indent: int, after: int | None = None) -> None:
        """Have `new` where `old` is; `indent` is its parent's, which ends at `after`."""
        if span.alias in self.loose or (span.alias is not None and not _same(old, new)):
            self._rewrite(span, new, indent, after)
            return
        if _same(old, new):
            if not self.loose:
                return
            for entry, key in ((entry, key) for key, entry in span.entries.items()):
                self.value(entry.value, old[key], new[key], indent, entry.colon)
            for item, one, other in zip(span.items, old, new, strict=False) if span.items else ():
                self.value(item, one, other, indent)
            return
        if span.anchor is not None:
            self._anchors.append(span.anchor)
        self.touched.update(self._anchors)
        marks = len(self._edits)
        if not self._parts(span, old, new):
            del self._edits[marks:]
            self._rewrite(span, new, indent, after)
        if span.anchor is not None:
            self._anchors.pop()

    def _parts(self, span: Span, old: Any, new: Any) -> bool:
        """Change the parts of a mapping or list; False where it has to be written as a whole."""
        if isinstance(old, dict) and isinstance(new, Mapping) and old and new:
            return self._mapping(span, old, new)
        if isinstance(old, list) and isinstance(new, list | tuple) and old and new:
            return self._flow_list(span, old, new) if span.flow else self._list(span, old, new)
        return False

    def _mapping(self, span: Span, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        gone = [key for key in old if key not in new]
        kept = [key for key in old if key in new]
        if not kept or (span.flow and gone):
            return False
        indent = self._column(span.entries[kept[0]].start)
        for key in gone:
            entry = span.entries[key]
            if not self._remove(entry.start, entry.value.end):
                return False
        for key in kept:
            entry = span.entries[key]
            self.value(entry.value, old[key], new[key], indent, entry.colon)
        added = [(_key(key), value) for key, value in new.items() if key not in old]
        end = span.entries[kept[-1]].value.end
        if span.flow:
            self._insert(end, [f", {key}: {_flow(value)}" for key, value in added])
        else:
            start = "\n" + " " * indent
            rows = [f"{start}{key}:{_block(value, indent + 2)}" for key, value in added]
            self._insert(self._line_end(end), rows)
        return True

    def _flow_list(self, span: Span, old: list[Any], new: Iterable[Any]) -> bool:
        values = list(new)
        if len(values) < len(old):
            return False
        for item, one, other in zip(span.items, old, values, strict=False):
            self.value(item, one, other, 0)
        self._insert(span.items[-1].end, [f", {_flow(value)}" for value in values[len(old) :]])
        return True

    def _list(self, span: Span, old: list[Any], new: Iterable[Any]) -> bool:
        """Change a list with an item on each line; equal items stay where they are."""
        values = list(new)
        dashes = [self.text.rfind("-", 0, item.start) for item in span.items]
        indent = self._column(dashes[0])
        before, after = ([json.dumps(value) for value in side] for side in (old, values))
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        last = None  # the end of the last item that stays
        for _, i1, i2, j1, j2 in matcher.get_opcodes():
            both = min(i2 - i1, j2 - j1)
            for index, other in zip(range(i1, i1 + both), values[j1:], strict=False):
                item = span.items[index]
                self.value(item, old[index], other, indent, dashes[index] + 1)
                last = item.end
            for index in range(i1 + both, i2):
                if not self._remove(dashes[index], span.items[index].end):
                    return False
            rows = [f"- {_block(value, indent + 2).lstrip()}" for value in values[j1 + both : j2]]
            if rows and last is None:
                if not self._alone(dashes[0]):
                    return False
                self._insert(dashes[0], [f"{row}\n{' ' * indent}" for row in rows])
            elif rows and last is not None:
                self._insert(self._line_end(last), [f"\n{' ' * indent}{row}" for row in rows])
        return True

    def _rewrite(self, span: Span, new: Any, indent: int, after: int | None) -> None:
        """Write a value as a whole, from behind its parent's colon or dash where that can be."""
        if after is None or self.text[after : span.start].strip():
            self._edits.append((span.start, span.end, _flow(new)))
        else:
            text = _flow(new) if span.flow or self._in_flow(span) else None
            new_text = f" {text}" if text is not None else _block(new, indent + 2)
            self._edits.append((after, span.end, new_text))

    def _in_flow(self, span: Span) -> bool:
        """Whether more follows in the value's line that is no comment."""
        rest = self.text[span.end : self._line_end(span.end)].lstrip()
        return bool(rest) and not rest.startswith("#")

    def _insert(self, at: int, rows: list[str]) -> None:
        if rows:
            self._edits.append((at, at, "".join(rows)))

    def _remove(self, start: int, end: int) -> bool:
        """Remove the lines of an entry, and the comment just above; False where it has none."""
        begin = self._line_start(start)
        if not self._alone(start):
            return False
        while begin:
            above = self._line_start(begin - 1)
            if not self.text[above:begin].lstrip().startswith("#"):
                break
            begin = above
        self._edits.append((begin, min(self._line_end(end) + 1, len(self.text)), ""))
        return True

    def _alone(self, start: int) -> bool:
        """Whether nothing is before it in its line."""
        return not self.text[self._line_start(start) : start].strip()

    def _column(self, at: int) -> int:
        return at - self._line_start(at)

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end
