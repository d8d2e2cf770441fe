"""BGP sessions as BIRD and FRR tell of them, in the same words.

`since` is the time of day at which a session got into its state, `age_s` how long ago that
was, `began` when in seconds since 1970, all by the testbed's own clock. BIRD's are exact to
some milliseconds, FRR's to a second; FRR counts how often it was up (`resets`).
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.keeper import bird, frr
from testbed.kernel.namespace import inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.plan.checks import BgpCheck

ESTABLISHED = "Established"
DAY = timedelta(days=1)
SIGNATURES = {
    "TCPMD5NotFound": "without the MD5 signature that is configured here",
    "TCPMD5Unexpected": "with an MD5 signature, none is configured here",
    "TCPMD5Failure": "with an MD5 signature made with another key",
}
# BIRD names the cause only; the notification is RFC 4486's.
CEASE = {
    "Automatic shutdown: Route limit exceeded": "Cease sent: maximum number of prefixes reached",
    "Received: Maximum number of prefixes reached": (
        "Cease received: maximum number of prefixes reached"
    ),
}
# What FRR says of a session that was never there.
NO_REASON = ("", "Waiting for peer OPEN", "No AFI/SAFI activated for peer")
Session = dict[str, Any]
Sessions = dict[tuple[str, ...], Session]


def of_bird(directory: str) -> Sessions:
    """The sessions of a node's BIRD, by protocol and neighbour; BirdError when it is silent."""
    found = bird.sessions(f"{directory}/bird.ctl")
    now = datetime.now()  # noqa: DTZ005 - BIRD's times are local, too
    return {(name, one.neighbor): _of_bird(one, now) for name, one in found.items()}


def _of_bird(session: bird.Session, now: datetime) -> Session:
    seconds = age(session.since, now)
    return {
        "ok": session.state == ESTABLISHED,
        "state": session.state,
        "reason": CEASE.get(session.last_error, session.last_error) or None,
        "since": session.since,
        "age_s": seconds,
        "began": None if seconds is None else now.timestamp() - seconds,
        "resets": None,
        "imported": session.imported,
        "exported": session.exported,
    }


def of_frr(directory: str) -> Sessions:
    """The sessions of a node's bgpd, by VRF and neighbour; FrrError when it does not answer."""
    path = f"{directory}/bgpd.vty"
    found = frr.sessions(path)
    established = all(session.get("state") == ESTABLISHED for session in found.values())
    failed = {} if established else frr.sessions(path, failed=True)
    return {key: _of_frr(session, failed.get(key, {})) for key, session in found.items()}


def _of_frr(session: Session, failed: Session) -> Session:
    state = session.get("state", "unknown")
    reset = str(failed.get("lastResetDueTo", ""))
    reason = failed.get("lastNotificationReason") or ("" if reset in NO_REASON else reset)
    known = session.get("peerUptime", "never") != "never"
    seconds = session.get("peerUptimeMsec", 0) / 1000
    began = time.time() - seconds
    since = datetime.fromtimestamp(began)  # noqa: DTZ006 - as BIRD's
    return {
        "ok": state == ESTABLISHED,
        "state": state,
        "reason": reason or None,
        "since": f"{since:%H:%M:%S}" if known else None,
        "age_s": seconds if known else None,
        "began": began if known else None,
        "resets": session.get("connectionsDropped", 0),
        "imported": session.get("pfxRcd", 0),
        "exported": session.get("pfxSnt", 0),
    }


def session_of(sessions: Sessions, check: BgpCheck) -> Session | None:
    """The session that a check is about, among those of its daemon; None: it has none such."""
    if check.daemon == "frr" and check.protocol:
        return sessions.get((check.protocol, check.neighbor))
    index, wanted = (0, check.protocol) if check.protocol else (1, check.neighbor)
    return next((found for key, found in sessions.items() if key[index] == wanted), None)


READ: dict[str, Callable[[str], Sessions]] = {"bird": of_bird, "frr": of_frr}


def age(since: str, now: datetime) -> float | None:
    """How many seconds ago a time was that BIRD tells: of today, or a day; None: unreadable."""
    for form in ("%H:%M:%S.%f", "%H:%M:%S"):
        try:
            time_of_day = datetime.strptime(since, form).time()  # noqa: DTZ007
        except ValueError:
            continue
        then = datetime.combine(now.date(), time_of_day)
        return ((now - then) % DAY).total_seconds()
    try:
        return (now - datetime.fromisoformat(since)).total_seconds()
    except ValueError:
        return None


def refused_signatures(namespace: int) -> tuple[int, ...]:
    """How many TCP segments a node has dropped because of MD5: as SIGNATURES counts them.

    The kernel counts them for a namespace, not for a session (RFC 2385; linux/snmp.h).
    """
    with inside(namespace):
        lines = Path("/proc/thread-self/net/netstat").read_text().splitlines()
    table: dict[str, str] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        table |= dict(zip(names.split(), values.split(), strict=True))
    return tuple(int(table.get(name, 0)) for name in SIGNATURES)
