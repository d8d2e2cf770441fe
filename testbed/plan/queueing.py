"""How long a queue has to be."""

from __future__ import annotations

QUEUE_MS = 50.0
SHORTEST, LONGEST = 100, 100_000
UNLIMITED_MBPS = 10_000.0  # what a link without a rate limit is taken to carry


def queue_limit(rate_mbps: float, delay_ms: float, mtu: int) -> int:
    """The length in packets of the queue of an impaired link.

    It holds what is under way plus QUEUE_MS at the link's rate (0: unlimited),
    so that neither delay nor rate loses packets by itself.
    """
    rate = rate_mbps or UNLIMITED_MBPS
    packets = rate * 1000 * (delay_ms + QUEUE_MS) / 8 / mtu
    return max(SHORTEST, min(LONGEST, int(packets) + 1))
