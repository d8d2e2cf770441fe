"""The bridge that containers are behind in network mode bridge, as Docker has it: docker0."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

BRIDGE, NETWORK = "docker0", ipaddress.IPv4Network("172.17.0.0/16")
FIRST_PORT, LAST_PORT = 49153, 65535  # of host ports that are chosen (AWS: PortMapping)
Row = dict[str, Any]
Commands = list[Row]

RULES = f"""\
table ip docker {{
  map ports {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  chain arriving {{
    type nat hook prerouting priority dstnat;
    fib daddr type local dnat ip to meta l4proto . th dport map @ports
  }}
  chain own {{
    type nat hook output priority -100;
    oifname != "lo" fib daddr type local dnat ip to meta l4proto . th dport map @ports
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat;
    ip saddr {NETWORK} oifname != "{BRIDGE}" masquerade
  }}
}}
"""


def _words(text: str, *, may_fail: bool = False) -> Row:
    return {"argv": text.split(), "may_fail": may_fail}


def begin() -> Commands:
    """Return the commands that make the bridge; what a former agent has left goes first."""
    return [
        _words(f"ip link del {BRIDGE}", may_fail=True),
        _words("nft delete table ip docker", may_fail=True),
        _words(f"ip link add {BRIDGE} type bridge"),
        _words(f"ip addr add {NETWORK[1]}/{NETWORK.prefixlen} dev {BRIDGE}"),
        _words(f"ip link set {BRIDGE} up"),
        {"argv": ["nft", "-f", "-"], "input": RULES},
    ]


def join(name: str, address: str, bindings: Iterable[Row]) -> Commands:
    """Return the commands that make a task's network `name` on the bridge, with its ports."""
    end = f"veth{name[:8]}"
    inside = f"ip -n {name}"
    made = [
        _words(f"ip netns add {name}"),
        _words(f"ip link add {end} type veth peer name eth0 netns {name}"),
        _words(f"ip link set {end} master {BRIDGE} up"),
        _words(f"{inside} link set lo up"),
        _words(f"{inside} addr add {address}/{NETWORK.prefixlen} dev eth0"),
        _words(f"{inside} link set eth0 up"),
        _words(f"{inside} route add default via {NETWORK[1]}"),
    ]
    elements = ", ".join(
        f"{b['protocol']} . {b['hostPort']} : {address} . {b['containerPort']}" for b in bindings
    )
    if elements:
        made.append(_words(f"nft add element ip docker ports {{ {elements} }}"))
    return made


def leave(name: str, bindings: Iterable[Row]) -> Commands:
    """Return the commands that take a task's network away."""
    elements = ", ".join(f"{b['protocol']} . {b['hostPort']}" for b in bindings)
    gone = [_words(f"ip link del veth{name[:8]}", may_fail=True)]
    if elements:
        text = f"nft delete element ip docker ports {{ {elements} }}"
        gone.append(_words(text, may_fail=True))
    return [*gone, _words(f"ip netns del {name}", may_fail=True)]


class Addresses:
    """The bridge's addresses and the instance's ports, as tasks take them."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[str, int], str] = {}

    def take(self, task: str) -> str:
        """Return an address for a task."""
        used = set(self._addresses.values())
        hosts = (str(NETWORK[number]) for number in range(2, NETWORK.num_addresses - 1))
        found = next(address for address in hosts if address not in used)
        self._addresses[task] = found
        return found

    def bind(self, task: str, mappings: Iterable[Row]) -> list[Row]:
        """Return the bindings of a task's port mappings; OSError where a port is taken."""
        found = []
        for mapping in mappings:
            protocol, port = mapping.get("protocol", "tcp"), mapping.get("hostPort") or 0
            if not port:
                port = next(
                    number
                    for number in range(FIRST_PORT, LAST_PORT + 1)
                    if (protocol, number) not in self._ports
                )
            if (protocol, port) in self._ports:
                raise OSError(f"port {port} is already allocated")
            self._ports[protocol, port] = task
            found.append(
                {
                    "bindIP": "0.0.0.0",  # noqa: S104 - as Docker says it
                    "containerPort": mapping["containerPort"],
                    "hostPort": port,
                    "protocol": protocol,
                }
            )
        return found

    def free(self, task: str) -> None:
        """Give back what a task has."""
        self._addresses.pop(task, None)
        self._ports = {key: owner for key, owner in self._ports.items() if owner != task}
