"""What must make the checks of VLANs fail."""

from dataclasses import replace

from packets.mutations import Change, Mutation, both, interface, node, rules
from testbed.plan.model import Bridge, Interface, Vlan

SITE = "topologies/two-racks.yaml"


def bridged(device: str, *ports: Interface) -> Change:
    """A device that bridges these VLAN interfaces, which it has not yet."""
    added = (Interface("br1", Bridge()), *(replace(port, master="br1") for port in ports))
    return node(device, lambda entry: replace(entry, interfaces=(*entry.interfaces, *added)))


MUTATIONS = {
    "vlan.tagged": Mutation(
        SITE,
        "cnd1 op-a.1001",
        change=interface("cnd1", "op-a.1001", device=Vlan("op-a", 1005)),
        seen="frames tagged 1005",
    ),
    "vlan.tagged swapped": Mutation(
        SITE,
        "cnd4 op-b.2004",
        change=both(
            interface("cnd4", "op-b.2004", device=Vlan("op-b", 1004)),
            interface("cnd4", "op-b.1004", device=Vlan("op-b", 2004)),
        ),
        seen="frames tagged 1004",
    ),
    "vlan.tagged of-the-OND": Mutation(
        SITE,
        "op-a.ond2 bond0.1002",
        change=interface("op-a.ond2", "bond0.1002", device=Vlan("bond0", 1005)),
        seen="frames tagged 1005",
    ),
    "vlan.not-bridged": Mutation(
        SITE,
        "VLAN 1001 of op-a.ond1",
        change=both(
            bridged("cnd1", Interface("far", Vlan("sl_cnd2", 1001))),
            interface("cnd1", "op-a.1001", master="br1", addresses=()),
            bridged(
                "cnd2",
                Interface("far", Vlan("sl_cnd1", 1001)),
                Interface("near", Vlan("op-a", 1001)),
            ),
        ),
        seen="op-a.ond2",
    ),
    "vlan.addresses": Mutation(
        SITE,
        "cnd1 op-a.1001",
        change=interface("cnd1", "op-a.1001", addresses=("198.18.0.9/31",)),
        seen="198.18.0.9",
    ),
    "vlan.peer-answers": Mutation(
        SITE,
        "cnd2 op-a.2002",
        change=rules(
            "cnd2",
            "table inet mutation { chain input { type filter hook input priority 0;\n"
            "ip saddr 198.19.0.2 icmp type echo-request drop\n}\n}",
        ),
    ),
    "vlan.mtu": Mutation(
        SITE,
        "cnd3 op-b.1003",
        change=interface("cnd3", "op-b.1003", mtu=1400),
        seen="mtu",
    ),
    "vlan.mtu of-the-LAG": Mutation(
        SITE,
        "cnd4 op-b.1004",
        change=both(
            *(
                interface("cnd4", f"op-b{end}", mtu=1400)
                for end in ("", "_1", "_2", ".1004", ".2004")
            )
        ),
    ),
}
