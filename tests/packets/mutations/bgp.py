"""What must make the checks of BGP fail."""

from dataclasses import replace

from packets.mutations import Change, Fault, Mutation, both, in_file, in_protocol, node, rules
from testbed.plan.model import Process

SITE = "topologies/two-racks.yaml"
BFD = "tests/packets/bfd.yaml"
LOOPED = "export filter { bgp_path.prepend(64513); accept; };"  # the local gateway's own number


def without_bgp_179(name: str, peer: str) -> Change:
    """A node that drops connections to its BGP port from a peer."""
    rule = f"ip saddr {peer} tcp dport 179 tcp flags syn drop"
    hook = "type filter hook input priority -10; policy accept;"
    return rules(name, f"table inet mutation {{ chain input {{ {hook}\n{rule}\n}}\n}}")


def reset_again_and_again(name: str, protocol: str) -> Change:
    """A node whose BIRD has a session restarted every few seconds."""
    script = f"while sleep 4; do birdc -s /run/node/{name}/bird.ctl restart {protocol}; done"
    process = Process("flapping", ("/bin/sh", "-c", script))
    return node(name, lambda entry: replace(entry, processes=(*entry.processes, process)))


SL_OF_CND1 = "local 198.18.0.1 as 65000;\n  neighbor 198.18.0.0 as 64512"
PREPEND = "      if net = 10.200.0.32/27 then {\n        bgp_path.prepend(64512);"
EXPORT_TO_OND = "      if net = 198.51.100.0/24 then {\n        accept;\n      }\n"

IMPORT_FROM_OND = """\
  neighbor 198.18.0.0 as 64512;
  interface "op-a.1001";
  direct;
  hold time 90;
  keepalive time 30;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 4;
  ipv4 {
    table t_sl;
    next hop self;
    import all;"""
LGW_OF_CND2 = """\
  interface "op-a.2002";
  direct;
  hold time 90;
  keepalive time 30;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 4;
  ipv4 {
    table t_lgw;
    next hop self;
    import all;
    export all;"""


def originated(name: str, table: str, vrf: str, prefix: str) -> Change:
    """A BIRD that originates a prefix that is not its own."""
    protocol = (
        f'protocol static mutation {{ vrf "{vrf}"; ipv4 {{ table {table}; }};'
        f" route {prefix} unreachable; }}\n"
    )
    after = f"ipv4 table {table};\n"
    return in_file(name, "bird.conf", after, after + protocol)


MUTATIONS = {
    "bgp.signed": Mutation(
        SITE,
        "cnd1 op-a.1001",
        (Fault("bgp-md5", "cnd1:op-a.1001"),),
        seen="198.18.0.1 signs with MD5 (TCP option 19)",
    ),
    "bgp.signed by-frr": Mutation(
        BFD, "cnd2 op.1002", (Fault("bgp-md5", "cnd2:op.1002"),), seen="signs with MD5"
    ),
    "bgp.prefix-limit": Mutation(
        SITE,
        "cnd1 op-a.1001",
        (Fault("bgp-prefix-limit", "cnd1:op-a.1001"),),
        settle_s=3.0,
    ),
    "bgp.prefix-limit by-frr": Mutation(
        BFD,
        "cnd2 op.1002",
        (  # bgpd 8.4 counts before it adds: with limit 1 the third prefix is one too many
            Fault("bgp-prefix-limit", "cnd2:op.1002"),
            Fault("route-leaked", "op.ond2:bond0.1002", {"prefix": "10.9.0.0/16"}),
        ),
        settle_s=3.0,
    ),
    "bgp.bfd": Mutation(BFD, "cnd1 op.1001", (Fault("bfd-missing", "cnd1:op.1001"),)),
    "bgp.bfd of-frr": Mutation(BFD, "cnd2 op.1002", (Fault("bfd-missing", "cnd2:op.1002"),)),
    "bgp.way-to-site": Mutation(
        SITE,
        "cnd1 op-a.2001: 192.168.10.0/24",
        (Fault("route-withdrawn", "cnd1:op-a.2001"),),
        seen="no prefixes",
    ),
    "bgp.accepted": Mutation(
        SITE,
        "op-a.ond1: 10.77.11.0/24 from cnd1",
        change=in_protocol("cnd1", "op_a_local_gateway", "export all;", LOOPED),
        seen="64513",
    ),
    "bgp.port": Mutation(
        SITE,
        "cnd1 op-a.2001",
        change=without_bgp_179("cnd1", "198.19.0.0"),
        seen="timed out",
    ),
    "bgp.asns of-the-device": Mutation(
        SITE,
        "cnd1 op-a.1001",
        change=in_file("cnd1", "bird.conf", SL_OF_CND1, SL_OF_CND1.replace("as 65000", "as 65009")),
        seen="OPEN with AS 65009",
    ),
    "bgp.asns expected-by-the-device": Mutation(
        SITE,
        "cnd1 op-a.1001",
        change=in_file("cnd1", "bird.conf", SL_OF_CND1, SL_OF_CND1.replace("as 64512", "as 64599")),
        seen="bad peer AS",
    ),
    "bgp.established": Mutation(
        SITE,
        "cnd2 op-a.1002",
        change=in_file(
            "cnd2",
            "bird.conf",
            "protocol bgp op_a_service_link {",
            "protocol bgp op_a_service_link {\n  disabled;",
        ),
    ),
    "bgp.stable": Mutation(
        SITE,
        "cnd1 op-a.1001",
        change=reset_again_and_again("op-a.ond1", "customer_service_link"),
        seen="went down",
        settle_s=5.0,
    ),
    "bgp.outpost-announces": Mutation(
        SITE,
        "op-a.ond1 bond0.1001: 10.200.0.32/27",
        change=in_file("op-a.ond1", "bird.conf", PREPEND, PREPEND.rpartition("\n")[0]),
        seen="AS path length 3",
    ),
    "bgp.outpost-announces the-VPC": Mutation(
        SITE,
        "op-b.ond1 bond0.2003: 10.77.0.0/16",
        change=both(
            in_file(
                "op-b.ond1",
                "bird.conf",
                "      if net = 10.77.11.0/24 then {",
                "      if net = 10.77.0.0/16 then { accept; }\n      if net = 10.77.11.0/24 then {",
            ),
            originated("op-b.ond1", "t_lgw", "lgw", "10.77.0.0/16"),
        ),
    ),
    "bgp.route-to-rack": Mutation(
        SITE,
        "cnd1: 10.200.0.0/27 in VRF sl",
        settle_s=1.0,
        change=in_file(
            "cnd1",
            "bird.conf",
            IMPORT_FROM_OND,
            f"{IMPORT_FROM_OND[:-4]}where net ~ [ 10.200.0.32/27 ];",
        ),
    ),
    "bgp.multipath": Mutation(
        "tests/packets/one-device.yaml",
        "cnd1: 10.77.7.0/24",
        change=in_file("cnd1", "bird.conf", "  merge paths on limit 16;\n", ""),
        seen="1 next hops",
    ),
    "bgp.no-leak": Mutation(
        SITE,
        "cnd1 op-a.1001: 192.168.10.0/24",
        change=both(
            in_file(
                "cnd1",
                "bird.conf",
                EXPORT_TO_OND,
                EXPORT_TO_OND + "      if net = 192.168.10.0/24 then accept;\n",
            ),
            originated("cnd1", "t_sl", "sl", "192.168.10.0/24"),
        ),
        seen="LAN office",
    ),
    "bgp.no-leak into-the-local-gateway": Mutation(
        SITE,
        "cnd1 op-a.2001: 10.200.0.0/27",
        change=originated("cnd1", "t_lgw", "lgw", "10.200.0.0/27"),
        seen="infrastructure",
    ),
    "bgp.equal": Mutation(
        SITE,
        "cnd2 op-a.2002: 192.168.10.0/24",
        change=in_file(
            "cnd2",
            "bird.conf",
            LGW_OF_CND2,
            LGW_OF_CND2.replace(
                "export all",
                "export filter { if net = 192.168.10.0/24 then bgp_path.prepend(65000); accept; }",
            ),
        ),
        seen="AS path length 2",
    ),
    "bgp.way-to-region": Mutation(
        SITE,
        "cnd2 op-a.1002",
        change=in_file("cnd2", "bird.conf", EXPORT_TO_OND, ""),
        seen="no prefixes",
    ),
}
