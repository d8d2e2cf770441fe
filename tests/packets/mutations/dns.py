"""What must make the checks of names fail."""

from dataclasses import replace

from packets.mutations import Mutation, in_file, node

SITE = "topologies/dns-disconnected.yaml"
ENDPOINTS = "topologies/vpc-endpoints.yaml"
RESOLVER = "region.dns-app"
INTERNAL = "zone-us-west-2.compute.internal"
MUTATIONS = {
    "dns.server": Mutation(
        SITE, "a resolv.conf", change=in_file("a", "resolv.conf", "10.77.0.2", "10.77.0.3")
    ),
    "dns.instances": Mutation(
        SITE,
        "a asks",
        change=in_file(RESOLVER, INTERNAL, "A 10.77.11.50", "A 10.77.11.51"),
        seen="10.77.11.51",
        settle_s=1.0,
    ),
    "dns.hosted-zones": Mutation(
        SITE,
        "a asks",
        change=in_file(RESOLVER, "zone-corp.internal", "A 10.77.11.50", "A 10.77.11.51"),
        seen="10.77.11.51",
        settle_s=1.0,
    ),
    "dns.endpoints": Mutation(
        ENDPOINTS,
        "app asks",
        change=in_file(
            RESOLVER, "zone-ec2.us-west-2.amazonaws.com", "A 10.77.1.254", "A 10.77.1.9"
        ),
        seen="10.77.1.9",
        settle_s=1.0,
    ),
    "dns.resolver": Mutation(
        SITE,
        "b asks",
        change=node("op-b.dns-app", lambda entry: replace(entry, processes=())),
    ),
}
