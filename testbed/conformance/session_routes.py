"""What the two ends of a BGP session announce, read from our end's daemon: nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.conformance.site import SETTLE_S, Site

Routes = dict[IPv4Network, tuple[int, ...]]  # prefix to AS path
ASKED = (
    "show protocols all {}",
    "show route protocol {} all",
    "show route export {} all",
)
ROUTE = re.compile(r"^(?P<prefix>[\d.]+/\d+)?\s+\S+ \[(?P<protocol>\S+) ")


@dataclass(frozen=True, slots=True)
class Announced:
    """The routes that came in a session and those that went out, with their AS paths."""

    received: Routes
    sent: Routes


def announced(
    site: Site,
    node: str,
    protocol: str,
    ok: Callable[[Announced], object] = bool,
) -> Announced:
    """Read what a BIRD's session has received and sent, again until it is `ok` or has settled.

    What comes with the BIRD's own AS number in its path is no route (RFC 4271) and left out.
    NetworkError where the BIRD does not answer.
    """

    def look() -> Announced:
        said, received, sent = (
            text.splitlines()
            for text in site.testbed.client.ask(node, "bird", [c.format(protocol) for c in ASKED])
        )
        own = _local_asn(said)
        return Announced(
            parse(received), {prefix: (own, *path) for prefix, path in parse(sent).items()}
        )

    return site.settled(look, ok, SETTLE_S)


def _local_asn(lines: Iterable[str]) -> int:
    found = (line.partition(":")[2] for line in lines if line.strip().startswith("Local AS:"))
    return int(next(found, "0"))


def parse(lines: Iterable[str]) -> Routes:
    """The routes in what BIRD says to ``show route … all``, in the order of their prefixes."""
    found: Routes = {}
    prefix: IPv4Network | None = None
    for line in lines:
        if match := ROUTE.match(line):
            if match["prefix"]:
                prefix = IPv4Network(match["prefix"])
            if prefix is not None:
                found.setdefault(prefix, ())
        elif prefix is not None and line.strip().startswith("BGP.as_path:"):
            words = line.partition(":")[2].replace("{", " ").replace("}", " ").split()
            found[prefix] = tuple(int(word) for word in words if word.isdigit())
    return dict(sorted(found.items()))


def lengths(routes: Routes) -> dict[IPv4Network, int]:
    """The length of each prefix' AS path."""
    return {prefix: len(path) for prefix, path in routes.items()}
