"""Which suites there are, and reading what a check says about itself in its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
# From the cable up: the first check that fails is the cause nearest to the bottom, so that
# its text is the diagnosis; what is above it follows from it.
SUITES = (
    "lag",
    "vlan",
    "site",
    "server",
    "lni",
    "bgp",
    "direct-connect",
    "isp",
    "firewalls",
    "service-link",
    "routing",
    "local-gateway",
    "coip",
    "security-groups",
    "isolation",
    "dns",
    "mtu",
    "metrics",
    "failover",
    "disconnected",
)
# What connections of instances may be lost by: where a check of theirs fails, the cause is
# one of these if it has failed for something that both touch.
CONNECTIVITY = (
    *("site.powered", "site.cables", "site.daemons", "site.default-route"),
    *("lag.carrier", "lag.members", "vlan.tagged", "vlan.addresses", "vlan.peer-answers"),
    *("site.link", "site.peer-answers", "site.mtu", "site.lan", "site.unique-addresses"),
    *("site.established", "site.accepted", "site.sessions"),
    *("bgp.port", "bgp.asns", "bgp.established", "bgp.stable", "bgp.outpost-announces"),
    *("bgp.route-to-rack", "bgp.way-to-region", "bgp.way-to-site", "bgp.accepted", "bgp.no-leak"),
    *("direct-connect.link", "direct-connect.peer-answers", "direct-connect.established"),
    *("direct-connect.received", "direct-connect.advertised"),
    *("isp.link", "isp.peer-answers", "isp.established", "isp.routes", "isp.way-out"),
    *("firewalls.passes-udp", "firewalls.passes-answers", "firewalls.symmetric"),
    *("server.links", "server.address", "server.gateway", "server.passes-udp"),
    *("server.authorised", "server.mtu"),
    *("service-link.handshake", "service-link.underlay-mtu", "service-link.inner-mtu"),
)
# What the announcements on a VIF stand on, of the customer's own network and towards the Region.
SITE_WAYS = (
    *("site.link", "site.peer-answers", "site.established", "site.accepted", "site.lan"),
    *("site.daemons", "site.powered"),
)
REGION_WAYS = (
    *("isp.link", "isp.peer-answers", "isp.established", "direct-connect.link"),
    *("direct-connect.peer-answers", "direct-connect.established", "direct-connect.received"),
)
SECTIONS = ("Expected", "Source", "Remedy")
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):[ ]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Check:
    """What a check's docstring says.

    `name` is ``suite.check``; `source` has the tags of the facts and, before
    them, the items of AWS's troubleshooting checklists that it stands for.
    """

    name: str
    summary: str
    expected: str
    source: str
    remedy: str

    @property
    def suite(self) -> str:
        """The suite that it is of."""
        return self.name.partition(".")[0]


def file_of(suite: str) -> Path:
    """The file of a suite."""
    return FOLDER / f"test_{suite.replace('-', '_')}.py"


def suite_of(path: Path) -> str:
    """The suite of a file."""
    return path.stem.removeprefix("test_").replace("_", "-")


def name_of(path: Path, function: str) -> str:
    """The name of the check that is a file's function: ``bgp.peer-answers``."""
    return f"{suite_of(path)}.{function.removeprefix('test_').replace('_', '-')}"


def describe(name: str, function: Callable[..., Any]) -> Check:
    """Read a check's docstring: a summary, then ``Expected:``, ``Source:`` and ``Remedy:``."""
    parts = _SECTION.split(inspect.getdoc(function) or "")
    summary, found = _joined(parts[0]), dict(zip(parts[1::2], parts[2::2], strict=True))
    texts = {section: _joined(found.get(section, "")) for section in SECTIONS}
    return Check(name, summary, texts["Expected"], texts["Source"], texts["Remedy"])


def _joined(text: str) -> str:
    return " ".join(text.split())
