"""Scalars and positions of YAML."""

import pytest

from testbed.errors import dotted
from testbed.topology.file.position import Composed, Position, compose, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("", None),
        ("~", None),
        ("null", None),
        ("0", 0),
        ("-7", -7),
        ("010", "010"),
        ("0x10", "0x10"),
        ("0o10", "0o10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-11-21", "2026-11-21"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.5", 1.5),
        ("9" * 40, "9" * 40),
        ("10.0.0.1", "10.0.0.1"),
        ("\u0661", "\u0661"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def document() -> Composed:
    return compose("a: 1\nb:\n  - x: {y: z}\n  - 'on'\n")


@pytest.mark.parametrize(
    ("path", "key", "position"),
    [
        ((), False, (1, 1)),
        (("a",), False, (1, 4)),
        (("a",), True, (1, 1)),
        (("b", 0, "x"), False, (3, 5)),
        (("b", 0, "x", "y"), False, (3, 12)),
        (("b", 0, "x", "y"), True, (3, 9)),
        (("b", 1), False, (4, 5)),
        (("b", 7), False, (3, 3)),
        (("nowhere", "at", "all"), False, (1, 1)),
    ],
)
def test_locate(path: tuple[str | int, ...], key: bool, position: tuple[int, int]) -> None:
    assert document().locate(path, key=key) == Position(*position)


def test_plain() -> None:
    assert document().root.plain() == {"a": 1, "b": [{"x": {"y": "z"}}, "on"]}


def test_dotted() -> None:
    assert dotted(("outposts", "op", "vifs", 0, "vlan")) == "outposts.op.vifs[0].vlan"
