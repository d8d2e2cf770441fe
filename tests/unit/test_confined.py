"""A child that does what a user has written, and its limits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from testbed.kernel import confined as module
from testbed.kernel.confined import ExceededError, confined

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a root of its own")


def test_what_it_says_comes_back() -> None:
    assert confined(lambda: b"x" * 200_000) == b"x" * 200_000


def test_it_sees_no_file_but_the_names_of_protocols() -> None:
    def look() -> bytes:
        files = [str(path) for path in Path("/").rglob("*") if path.is_file()]
        return "\n".join(files).encode()

    seen = confined(look).decode().splitlines()
    assert all(name.removeprefix("/etc/").split("/")[0] in module.NAMES for name in seen)


def endless() -> bytes:
    while True:
        pass


def asleep() -> bytes:
    time.sleep(1000)
    return b""


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (asleep, "does not finish"),
        (endless, "processor time"),
        (lambda: b"x" * (2 << 30), "of memory"),
    ],
)
def test_its_limits(
    work: object, what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "PLACE", str(tmp_path))
    monkeypatch.setattr(module, "PROCESSOR_S", 1)
    monkeypatch.setattr(module, "DEADLINE_S", 0.2 if work is asleep else 60)
    with pytest.raises(ExceededError, match=what):
        confined(work)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
