"""The Debian packages that have the daemons that plans start."""

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
