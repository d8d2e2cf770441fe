"""The Debian packages that have the programs that plans start."""

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
OF_CONTAINERS = {
    "crun": "crun",
    "umoci": "umoci",
    "skopeo": "skopeo",
    "busybox": "busybox-static",
}
"""What processes with an image need, of which a testbed without such has no use."""
