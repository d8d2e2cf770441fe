"""Connections to the endpoint, of which there are never more than a number.

One too many takes the place of the one that has been idle longest: who opens connections and
says nothing keeps nobody else out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def bounded(most: int) -> type[H11Protocol]:
    """Return uvicorn's HTTP protocol, for at most so many connections at once."""
    arrived: OrderedDict[H11Protocol, None] = OrderedDict()

    class Bounded(H11Protocol):
        """A connection; the oldest one that is idle gives way."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Take a connection, and close another one where there are too many."""
            super().connection_made(transport)
            arrived[self] = None
            if len(arrived) > most:
                oldest = next((each for each in arrived if _is_idle(each)), self)
                arrived.pop(oldest)
                oldest.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            """Forget a connection."""
            arrived.pop(self, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Read; who says something has not been idle."""
            if self in arrived:
                arrived.move_to_end(self)
            super().data_received(data)

    return Bounded


def _is_idle(connection: Any) -> bool:
    """Whether nobody waits for an answer over a connection."""
    return connection.cycle is None or connection.cycle.response_complete
