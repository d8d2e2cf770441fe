"""The Debian packages that have the daemons that plans start."""

FRR = ("zebra", "staticd", "bfdd", "ospfd", "ospf6d", "isisd", "bgpd", "vtysh")
PACKAGES = {
    "bird": "bird2",
    **dict.fromkeys(FRR, "frr"),
    "unbound": "unbound",
    "dnsmasq": "dnsmasq-base",
    "keepalived": "keepalived",
    "radvd": "radvd",
    "udhcpc": "udhcpc",
}
