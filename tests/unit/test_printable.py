"""Texts that others have chosen."""

from __future__ import annotations

import json

import pytest

from testbed.cli.logs import readable
from testbed.control.frames import message_of
from testbed.control.printable import CONTROL, printable


def test_control_characters_are_written_out() -> None:
    assert printable("a\x1b[2J\x9b\u202eb\r\tc\n") == "a\\x1b[2J\\x9b\\u202eb\\x0d\tc\n"
    assert printable("Zürich → 東京") == "Zürich → 東京"


def test_what_a_testbed_says_is_safe_to_print() -> None:
    text = "e\x1b]0;x\x07"
    payload = json.dumps({"result": {text: [text, 1, None]}}).encode()
    assert message_of(payload) == {"result": {printable(text): [printable(text), 1, None]}}


@pytest.mark.parametrize(
    "number", [*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), 0x2066]
)
def test_none_slips_through_the_quick_look(number: int) -> None:
    payload = json.dumps({"a": chr(number)}).encode()
    assert not CONTROL.search(message_of(payload)["a"])


def test_a_log_keeps_bytes_that_are_no_text() -> None:
    assert readable(b"\xff\xc3\xbc\x1b[1m\n") == b"\xff\xc3\xbc\\x1b[1m\n"
