"""What daemons' logs tell about their sessions."""

from __future__ import annotations

import pytest

from testbed.keeper.events import session_change


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (
            "2026-01-01 00:00:03.362 <TRACE> ond2: State changed to up",
            ("bgp", "ond2", "Established"),
        ),
        ("2026-01-01 00:01:33.362 <TRACE> ond2: State changed to stop", ("bgp", "ond2", "stop")),
        ("2026-01-01 00:00:02.541 <TRACE> kernel_t_main: State changed to up", None),
        (
            "<TRACE> bfd_t_main: Session to 100.96.0.1 changed state from Init to Up",
            ("bfd", "100.96.0.1", "Up"),
        ),
        (
            "2026/01/01 00:00:03 BGP: [M59KS-A3ZXZ] bgp_update_receive: rcvd End-of-RIB",
            None,
        ),
        (
            "BGP: [M59KS] %ADJCHANGE: neighbor 10.0.0.5(op.ond2) in vrf sl Up",
            ("bgp", "10.0.0.5 vrf sl", "Established"),
        ),
        (
            "BGP: %ADJCHANGE: neighbor 10.0.0.5(Unknown) in vrf sl Down Hold Timer Expired",
            ("bgp", "10.0.0.5 vrf sl", "down: Hold Timer Expired"),
        ),
        ("2026-01-01 00:00:02.541 <INFO> Started", None),
        ("2026-01-01 00:00:02.541 <TRACE> ond2: Starting", None),
    ],
)
def test_session_changes(line: str, change: tuple[str, str, str] | None) -> None:
    assert session_change(line, {"ond2"}) == change
