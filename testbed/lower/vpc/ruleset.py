"""The one nftables ruleset of a VPC router, put together from what each part of it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.lower.templating import environment

LONGEST_COMMENT = 120  # bytes; nft's own limit is 128 with the zero at its end


def comment(text: str) -> str:
    """The end of a rule that says what it stands for, in the user's words; `trace` shows it."""
    return f' comment "{text[:LONGEST_COMMENT]}"'


WRONG_SOURCE = comment("source/destination check: a source that is not the interface's")
WRONG_DESTINATION = comment("source/destination check: a destination that is not the interface's")


@dataclass
class Ruleset:
    """Fragments of the ruleset.

    Every set is looked up by hash, so that a packet's cost does not grow with
    the number of interfaces.
    """

    sources: list[str] = field(default_factory=list)
    """Port, MAC and IP address that an interface with source check may send with."""
    addresses: list[str] = field(default_factory=list)
    """Port and IP address of the interfaces with source/destination check."""
    unchecked_ports: list[str] = field(default_factory=list)
    """Ports of the interfaces without the check."""
    unchecked: list[str] = field(default_factory=list)
    """Port and MAC address of the interfaces without the check."""
    marks: list[str] = field(default_factory=list)
    """Port and the mark of its subnet's route table."""
    resolver: list[str] = field(default_factory=list)
    """Rules for the DNS resolver, which nothing filters."""
    sources6: list[str] = field(default_factory=list)
    """Port, MAC and IPv6 address that an interface with source check may send with."""
    addresses6: list[str] = field(default_factory=list)
    """Port and IPv6 address of the interfaces with source/destination check."""
    gateway_marks: list[str] = field(default_factory=list)
    """Port of a gateway in the Region and the mark of what comes from it."""
    forward: list[str] = field(default_factory=list)
    """Rules for what is never forwarded, whatever else would allow it."""
    filters: list[str] = field(default_factory=list)
    """Rules of the filters that the VPC's owner has, in order; `return` ends them."""
    input: list[str] = field(default_factory=list)
    """Rules for what is for the router itself."""
    output: list[str] = field(default_factory=list)
    """Rules for what the router itself sends."""
    sets: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Further sets by name: their type and flags, their elements."""
    maps: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Further maps by name."""
    chains: dict[str, list[str]] = field(default_factory=dict)
    """Further chains by name: their rules."""

    def text(self, title: str) -> str:
        """The whole ruleset in nft's language."""
        return environment.get_template("vpc.nft.j2").render(
            title=title,
            rules=self,
            wrong_source=WRONG_SOURCE,
            wrong_destination=WRONG_DESTINATION,
        )
