"""The Debian packages that have the programs that plans start."""

PACKAGES = {
    "bird": "bird2",
    "zebra": "frr",
    "bgpd": "frr",
    "bfdd": "frr",
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
