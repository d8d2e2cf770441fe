"""The log of calls, as CloudTrail would have it: one line of JSON for each, beside the testbed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.control.protocol import testbed_directory

FILE, OLDER = "api.jsonl", "api.jsonl.1"
LARGEST = 16 * 2**20  # bytes; then it is the older one
HIDDEN = "…"  # in the place of what is secret
SECRETS = ("Password", "Secret", "PrivateKey", "KeyMaterial", "UserData", "PreSharedKey")


class CallLog:
    """The log of a testbed's calls; it goes with the testbed. `extra` gets every line, too."""

    def __init__(self, name: str, extra: Path | None = None) -> None:
        self._path = testbed_directory(name) / FILE
        self._extra = extra
        self._lock = threading.Lock()

    def __call__(self, entry: dict[str, Any]) -> None:
        """Write a line; where it cannot be written, the call goes on."""
        line = json.dumps(_hidden(entry), default=_text) + "\n"
        with self._lock:
            for path in (self._path, self._extra):
                if path is None:
                    continue
                try:
                    if path == self._path and path.exists() and path.stat().st_size > LARGEST:
                        path.rename(path.with_name(OLDER))
                    with path.open("a", encoding="utf-8") as file:
                        file.write(line)
                except OSError:
                    continue


def entries(name: str) -> Iterator[dict[str, Any]]:
    """Return what the log of a testbed says, oldest first."""
    directory = testbed_directory(name)
    for file in (OLDER, FILE):
        try:
            text = (directory / file).read_text(encoding="utf-8")
        except OSError:
            continue
        for line in text.splitlines():
            if line.endswith("}"):
                yield json.loads(line)


def _hidden(value: Any) -> Any:
    """Return an entry without what is secret in it."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if any(word in str(key) for word in SECRETS) else _hidden(inner)
            for key, inner in value.items()
        }
    return [_hidden(each) for each in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
