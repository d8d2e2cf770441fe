"""The one nftables ruleset of a VPC router, put together from what each part of it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST_COMMENT = 120  # bytes; nft's own limit is 128 with the zero at its end


def comment(text: str) -> str:
    """The end of a rule that says what it stands for, in the user's words; `trace` shows it."""
    return f' comment "{text[:LONGEST_COMMENT]}"'


def _elements(items: list[str]) -> str:
    return f"elements = {{ {', '.join(items)} }}" if items else ""


def _lines(items: list[str]) -> str:
    return "".join(f"    {item}\n" for item in items)


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
        from_gateways = ""
        if self.gateway_marks:
            marks = ", ".join(self.gateway_marks)
            from_gateways = f"    meta mark set iifname map {{ {marks} }}\n"
        forward = [*self.forward, *(["jump filters"] if self.filters else [])]
        sources6 = addresses6 = ""
        if "interface_sources6" in self.sets:
            sources6 = "    iifname . ether saddr . ip6 saddr @interface_sources6 return\n"
            addresses6 = "    oifname . ip6 daddr @interface_addresses6 return\n"
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
{self._declarations()}  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{from_gateways}    iifname "eni-*" jump from_interface
  }}
  chain from_interface {{
    meta mark set iifname map @route_tables
    iifname . ether saddr . ip saddr @interface_sources return
{sources6}    iifname . ether saddr @unchecked_interfaces return
    counter drop{WRONG_SOURCE}
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
{_lines(self.resolver)}{_lines(forward)}    oifname "eni-*" jump to_interface
  }}
  chain to_interface {{
    oifname . ip daddr @interface_addresses return
{addresses6}    oifname @unchecked_ports return
    counter drop{WRONG_DESTINATION}
  }}
{self._chains()}}}
"""

    def _declarations(self) -> str:
        """The further sets and maps, which come before the chains that look things up in them."""
        text = ""
        for word, objects in (("set", self.sets), ("map", self.maps)):
            for name, (kind, items) in objects.items():
                text += f"  {word} {name} {{\n    {kind}\n    {_elements(items)}\n  }}\n"
        return text

    def _chains(self) -> str:
        text = ""
        chains = {**self.chains, **({"filters": self.filters} if self.filters else {})}
        for name, rules in chains.items():
            text += f"  chain {name} {{\n{_lines(rules)}  }}\n"
        for hook, rules in (("input", self.input), ("output", self.output)):
            if rules:
                head = f"type filter hook {hook} priority filter; policy accept;"
                text += f"  chain {hook} {{\n    {head}\n{_lines(rules)}  }}\n"
        return text
