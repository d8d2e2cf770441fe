"""Which of several nodes announces an address: MetalLB's choice, without any message."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def speaker(address: str, living: Iterable[str]) -> str | None:
    """Return the node whose SHA-256 of ``NODE#ADDRESS`` is the lowest; None without any node.

    Nodes that agree on who lives agree on it.
    """
    return min(living, key=lambda node: _rank(node, address), default=None)


def _rank(node: str, address: str) -> bytes:
    return hashlib.sha256(f"{node}#{address}".encode()).digest()
