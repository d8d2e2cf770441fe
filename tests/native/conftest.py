"""Tests of the native keeper: they need root and a kernel with every feature.

Where this kernel lacks one they are skipped here, and run inside the micro VM
by `tests/packets/test_in_guest.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def obstacle() -> str | None:
    """Why the tests can't run on this kernel; None when they can."""
    from testbed.kernel import features

    if os.geteuid() != 0:
        return "needs root"
    lacking = [feature.name for feature in features.probe() if not feature.ok]
    return f"this kernel lacks {', '.join(lacking)}" if lacking else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mine = [item for item in items if HERE in item.path.parents]
    reason = obstacle() if mine else None
    if reason:
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=f"{reason}; run inside the micro VM instead"))
