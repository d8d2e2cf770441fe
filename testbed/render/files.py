"""Writing what a user asked to have in a file."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import UsageError


def write(path: str | Path, data: bytes | str) -> None:
    """Write the file, text as UTF-8; UsageError if that cannot be done."""
    try:
        Path(path).write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {(error.strerror or '').lower()}") from error
