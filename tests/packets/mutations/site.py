"""What must make the checks of the customer's own network fail."""

from dataclasses import replace

from packets.mutations import Fault, Mutation, in_file, in_protocol, node

SITE = "topologies/two-racks.yaml"
GHOST = """
protocol bgp ghost {
  vrf "sl";
  local 100.64.0.0 as 65000;
  neighbor 100.64.0.77 as 65099;
  multihop;
  ipv4 { table t_sl; import all; export none; };
}
"""
LOOPED = "export filter { bgp_path.prepend(65001); accept; };"
TABLE = "ipv4 table t_sl;\n"


MUTATIONS = {
    "site.powered": Mutation(SITE, "desk", (Fault("node-stopped", "desk"),), seen="switched off"),
    "site.cables": Mutation(
        SITE, "op-a.sl host1", (Fault("link-down", "op-a.sl:host1"),), seen="down"
    ),
    "site.daemons": Mutation(
        SITE, "cnd1 bird", change=node("cnd1", lambda n: replace(n, processes=())), seen="not"
    ),
    "site.default-route": Mutation(
        SITE, "desk", (Fault("route-missing", "desk"),), seen="no default route"
    ),
    "site.link": Mutation(SITE, "cnd1 lgw_cnd2", (Fault("link-down", "cnd1:lgw_cnd2"),)),
    "site.peer-answers": Mutation(SITE, "cust-cnd1", (Fault("fibre-one-way", "cnd1:wan"),)),
    "site.mtu": Mutation(SITE, "cnd1 wan", (Fault("mtu", "cnd1:wan", {"mtu": 1400}),)),
    "site.established": Mutation(
        SITE, "cnd1 to site.wan", (Fault("bgp-wrong-asn", "cnd1:wan"),), settle_s=3.0
    ),
    "site.announced": Mutation(
        SITE,
        "cnd1 to cnd2, VRF lgw",
        (Fault("route-withdrawn", "cnd1:lgw_cnd2"),),
        seen="0 prefixes",
    ),
    "site.accepted": Mutation(
        SITE,
        "cnd3: 10.77.7.0/24 from site.wan",
        # One of the two receivers has it from the other one, unless both are told so.
        change=lambda plan: in_protocol("site.wan", "customer_cnd4", "export all;", LOOPED)(
            in_protocol("site.wan", "customer_cnd3", "export all;", LOOPED)(plan)
        ),
        seen="AS path 65500 65001",
    ),
    "site.lan": Mutation(SITE, "cnd1 lan_office", (Fault("fibre-one-way", "desk:eth0"),)),
    "site.unique-addresses": Mutation(
        SITE, "desk eth0: 192.168.10.10", (Fault("address-duplicate", "desk:eth0"),), seen=", "
    ),
    "site.sessions": Mutation(
        SITE, "cnd1 to 100.64.0.77", change=in_file("cnd1", "bird.conf", TABLE, TABLE + GHOST)
    ),
}
