"""The one nftables ruleset of a VPC router, put together from what each part of it needs."""

from __future__ import annotations

from dataclasses import dataclass, field


def _elements(items: list[str]) -> str:
    return f"elements = {{ {', '.join(items)} }}" if items else ""


def _lines(items: list[str]) -> str:
    return "".join(f"    {item}\n" for item in items)


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
    gateway_marks: list[str] = field(default_factory=list)
    """Port of a gateway in the Region and the mark of what comes from it."""
    forward: list[str] = field(default_factory=list)
    """Rules for what is never forwarded, whatever else would allow it."""

    def text(self, title: str) -> str:
        """The whole ruleset in nft's language."""
        from_gateways = ""
        if self.gateway_marks:
            marks = ", ".join(self.gateway_marks)
            from_gateways = f"    meta mark set iifname map {{ {marks} }}\n"
        return f"""\
# {title}
table inet vpc {{
  set interface_sources {{
    type ifname . ether_addr . ipv4_addr
    {_elements(self.sources)}
  }}
  set unchecked_interfaces {{
    type ifname . ether_addr
    {_elements(self.unchecked)}
  }}
  set interface_addresses {{
    type ifname . ipv4_addr
    {_elements(self.addresses)}
  }}
  set unchecked_ports {{
    type ifname
    {_elements(self.unchecked_ports)}
  }}
  map route_tables {{
    type ifname : mark
    {_elements(self.marks)}
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{from_gateways}    iifname "eni-*" jump from_interface
  }}
  chain from_interface {{
    meta mark set iifname map @route_tables
    iifname . ether saddr . ip saddr @interface_sources return
    iifname . ether saddr @unchecked_interfaces return
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
{_lines(self.resolver)}{_lines(self.forward)}    oifname "eni-*" jump to_interface
  }}
  chain to_interface {{
    oifname . ip daddr @interface_addresses return
    oifname @unchecked_ports return
    counter drop
  }}
}}
"""
