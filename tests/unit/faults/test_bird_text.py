"""Sessions in a customer's own BIRD configuration, which need not look like ours."""

from __future__ import annotations

import pytest

from testbed.errors import UsageError
from testbed.faults.bird_text import BirdText

OWN = """\
template bgp rack { local as 65001; }
protocol bgp one from rack {
  neighbor 10.0.0.1 as 65000;
  ipv4 { import all; export all; table lgw; };
}
"""


def test_a_leaked_route_is_in_the_sessions_own_table() -> None:
    config = BirdText(OWN)
    config.announce("10.0.0.1", "10.9.0.0/24")
    assert "protocol static fault_10_9_0_0_24_lgw {" in config.text
    assert "ipv4 { table lgw;" in config.text


def test_what_a_template_says_can_not_be_changed_unnoticed() -> None:
    with pytest.raises(UsageError, match="takes its AS numbers from elsewhere"):
        BirdText(OWN).set_local_asn("10.0.0.1", 65009)
    with pytest.raises(UsageError, match="takes its AS numbers from elsewhere"):
        BirdText(OWN).prepend("10.0.0.1", 3)


def test_what_the_session_says_is_changed() -> None:
    config = BirdText(OWN)
    config.set_remote_asn("10.0.0.1", 65009)
    assert "neighbor 10.0.0.1 as 65009;" in config.text
