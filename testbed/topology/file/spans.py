"""Where in a YAML text each value is: from which character to which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from testbed.topology.file.position import PARSER


@dataclass(slots=True)
class Entry:
    """A mapping's entry: from where its key begins, and where the key and its colon end."""

    start: int
    colon: int
    value: Span


@dataclass(slots=True)
class Span:
    """A value in a text, from `start` to `end`; a block's end is that of the last value in it.

    `alias` is the anchor that it stands for, `anchor` that which it has itself.
    """

    start: int
    end: int
    flow: bool = False
    anchor: str | None = None
    alias: str | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    items: list[Span] = field(default_factory=list)


def spans(text: str) -> Span:
    """Return the span of the text's value; the text is one that `position.compose` takes."""
    events = iter(yaml.parse(text, Loader=PARSER))
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            return _span(event, events, text)
    raise ValueError("the text is empty")


def _span(event: Any, events: Iterator[Any], text: str) -> Span:
    span = Span(event.start_mark.index, event.end_mark.index, anchor=event.anchor)
    if isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">"):
        span.end = len(text[: span.end].rstrip())  # else the next line belongs to it
    elif isinstance(event, yaml.AliasEvent):
        span.anchor, span.alias = None, event.anchor
    elif isinstance(event, yaml.CollectionStartEvent):
        span.flow = bool(event.flow_style)
        fill = _mapping if isinstance(event, yaml.MappingStartEvent) else _sequence
        fill(span, events, text)
    return span


def _mapping(span: Span, events: Iterator[Any], text: str) -> None:
    for event in events:
        end = event.end_mark.index
        if isinstance(event, yaml.MappingEndEvent):
            span.end = end if span.flow else span.end
            return
        value = _span(next(events), events, text)
        colon = text.index(":", end) + 1
        span.entries[str(event.value)] = Entry(event.start_mark.index, colon, value)
        span.end = value.end = max(value.end, colon)


def _sequence(span: Span, events: Iterator[Any], text: str) -> None:
    for event in events:
        end = event.end_mark.index
        if isinstance(event, yaml.SequenceEndEvent):
            span.end = end if span.flow else span.end
            return
        span.items.append(_span(event, events, text))
        span.end = span.items[-1].end
