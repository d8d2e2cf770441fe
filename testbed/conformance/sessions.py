"""Whether a BGP session stays up, by what has happened and while one looks; and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable

from testbed.conformance.daemons import session_of
from testbed.conformance.probing import exists
from testbed.conformance.site import Site

RECENT_S = 30.0  # a session that went down in this time is watched
STEADY_S = (4.0, 10.0)  # it is steady when it then stays up for so long: after one time, after more
PATIENCE_S = 15.0
DOWN = ("start", "stop", "down")  # BIRD's protocol states, and FRR's "down: reason"
UP = "Established"


def steady(site: Site, node: str, subject: str, neighbor: str) -> str:
    """Whether a session stays up, in words; one with a quiet past is not waited for."""

    def history() -> tuple[list[float], float]:
        """When it was up and went down, and since when it has been as it is after the last time."""
        downs: list[float] = []
        changed, up = 0.0, True
        for event in site.testbed.events():
            if (event["node"], event["kind"], event["subject"]) == (node, "bgp", subject):
                went_down = event["state"].partition(":")[0] in DOWN
                comes_up = event["state"] == UP and not up
                if up and went_down:
                    downs.append(float(event["at"]))
                if (up and went_down) or (comes_up and downs):
                    changed = float(event["at"])
                up = event["state"] == UP or (up and not went_down)
        return downs, changed

    def look() -> tuple[int, float]:
        """How often it has gone down, and for how long nothing has happened since."""
        downs, changed = history()
        return len(downs), site.testbed.elapsed() - changed if downs else RECENT_S

    begun, quiet_s = look()
    if quiet_s < RECENT_S:
        since = site.testbed.elapsed() - RECENT_S
        often = sum(at > since for at in history()[0]) > 1
        site.settled(
            look,
            lambda now: now[0] > begun or now[1] >= STEADY_S[often],
            PATIENCE_S,
        )
    if again := len(history()[0]) - begun:
        reason = session_of(site, node, neighbor).reason
        told = f": {reason}" if reason else ""
        return f"went down {again} times during the check{told}"
    session = session_of(site, node, neighbor)
    return f"stays {UP}" if session.up else str(session)


def signed(site: Site, nodes: Iterable[str], own: object, peer: object, port: int) -> bool:
    """Whether a socket of a port takes signed segments only between two addresses (RFC 2385)."""
    keys = tuple(f"{address}/" for address in (own, peer))
    for node in nodes:
        if exists(site, node):
            done = site.testbed[node].run(["ss", "-H", "-O", "-t", "-a", "-n", "-i"], check=False)
            for line in done.text.splitlines():
                said = line.partition(" md5keys:")[2]
                if f":{port} " in line and any(key in said for key in keys):
                    return True
    return False
