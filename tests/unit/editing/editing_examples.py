"""A document with something of everything, and each operation at work on it."""

from __future__ import annotations

from typing import Any

import edits_of_gateways
import edits_of_instances
import edits_of_outposts
import edits_of_security
import edits_of_servers
import edits_of_site
import edits_of_vpcs
import edits_of_workloads

from testbed.topology import editing as edit
from testbed.topology.document import Document
from testbed.topology.editing import Change, together
from testbed.topology.file.position import compose
from testbed.topology.schema import FaultForm

TEXT = """\
testbed: 1
name: everything
region:
  name: us-west-2
  zones: [us-west-2a, us-west-2b]
  prefix_lists: {office: [192.168.10.0/24]}
  internet: {hosts: {shop: {address: 192.0.2.80}}}
  vpc_peering_connections: {app-data: {requester: app, accepter: data}}
  transit_gateways:
    hub:
      attachments: {app: {vpc: app}, data: {vpc: data, subnets: [data-a]}}
      route_tables:
        all:
          associations: [app, data]
          propagations: [app, data]
          routes: [{destination: 10.9.0.0/16}, {destination: 10.8.0.0/16, attachment: data}]
        idle: {}
    lone: {}
vpcs:
  app:
    cidr: 10.1.0.0/16
    ipv6_cidr: "2001:db8:1::/56"
    internet_gateway: true
    virtual_private_gateway: {}
    subnets:
      rack: {cidr: 10.1.3.0/24, outpost: op}
      spare: {cidr: 10.1.4.0/24, outpost: op}
      cloud: {cidr: 10.1.1.0/24, zone: us-west-2a, ipv6_cidr: "2001:db8:1:1::/64"}
    route_tables:
      main: {routes: [{destination: 10.2.0.0/16, target: app-data.vpc-peering-connection}]}
      rack:
        subnets: [rack]
        routes: [{destination: 0.0.0.0/0, target: op.local-gateway}]
      idle: {}
    nat_gateways: {nat: {subnet: cloud}}
    endpoints:
      s3: {service: s3, type: gateway, route_tables: [rack]}
      ec2: {service: ec2, type: interface, subnets: [cloud]}
    security_groups:
      web: {ingress: [{protocol: tcp, ports: 80, source: 0.0.0.0/0}]}
      idle: {}
    network_acls:
      strict: {ingress: [{rule: 100, protocol: all, cidr: 10.0.0.0/8, action: allow}]}
  data:
    cidr: 10.2.0.0/16
    subnets: {data-a: {cidr: 10.2.1.0/24}, data-b: {cidr: 10.2.2.0/24, zone: us-west-2b}}
  campus:
    cidr: 10.3.0.0/16
    subnets: {public: {cidr: 10.3.1.0/24, outpost: op-coip}}
  idle: {cidr: 10.4.0.0/16}
hosted_zones:
  corp.internal: {vpcs: [app], records: [{name: db, values: [10.2.1.4]}]}
outposts:
  op: {devices: [cnd1, cnd2]}
  op-coip:
    devices: [cnd1, cnd2]
    local_gateway: {mode: coip, coip_pools: {campus: {cidrs: [172.20.0.0/26]}}}
  op-two:
    form_factor: rack-2nd-generation
    devices: [cnd2, cnd3]
    local_gateway: {routing_domains: {one: {}, coip: {mode: coip}}}
site:
  devices: {cnd1: {}, cnd2: {}, cnd3: {}}
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1]}}
  hosts: {desk: {segment: office}}
  firewalls: {fw: {devices: [cnd1]}}
  wan: {}
  internet: {devices: [cnd1]}
  direct_connect: {dx: {device: cnd2, private_vif: {virtual_private_gateway: app}}}
placement_groups: {apart: {strategy: spread}}
instances:
  web: {subnet: rack, address: 10.1.3.10, security_groups: [web]}
  app:
    subnet: cloud
    secondary_addresses: [10.1.1.20]
    processes: {worker: {image: busybox, environment: {COLOR: blue}}}
  still: {subnet: rack, state: stopped}
  owned: {subnet: public}
addresses: {held: {address: 203.0.113.20}, till: {pool: op-coip/campus}}
network_interfaces:
  extra: {subnet: rack}
  second: {subnet: rack, instance: web, secondary_addresses: [10.1.3.21]}
workloads:
  ecs:
    clusters: {edge: {container_instances: {web: {}}, services: {web: {task_definition: web}}}}
    task_definitions: {web: {containers: {web: {image: busybox, memory: 64}}}}
faults: [{kind: link-down, target: op.lag1, name: cut, at: 10s}]
"""


def everything() -> Document:
    """The document."""
    return Document(compose(TEXT).root.plain())


PARAMETERS = sorted(set(FaultForm.model_fields) - {"kind", "target", "name"})
TRAFFIC: list[dict[str, Any]] = [
    {"ip_protocol": "1", "from_port": 3, "to_port": 4},
    {"ip_protocol": "17", "from_port": 53, "to_port": 53},
]

# A change, and the one that takes it back: the document is what it was.
ROUND_TRIPS: list[tuple[Change, Change]] = [
    *edits_of_vpcs.ROUND_TRIPS,
    *edits_of_gateways.ROUND_TRIPS,
    *edits_of_security.ROUND_TRIPS,
    *edits_of_instances.ROUND_TRIPS,
    *edits_of_outposts.ROUND_TRIPS,
    *edits_of_servers.ROUND_TRIPS,
    *edits_of_site.ROUND_TRIPS,
    *edits_of_workloads.ROUND_TRIPS,
]

# What says something that goes with nothing else in this document; it need not be right.
WRITTEN: list[Change] = [
    *edits_of_workloads.WRITTEN,
    *(edit.declare_fault(kind="impair", target="cnd1", **{key: 1}) for key in PARAMETERS),
    edit.update_outpost(outpost="op", form_factor="server"),
    edit.modify_local_gateway_route(
        local_gateway_route_table="op-two/one",
        destination_cidr_block="0.0.0.0/0",
        network_interface="extra",
    ),
    edit.modify_virtual_interface(outpost="op", group="local_gateway", lag=1, vlan=2900),
    edit.modify_virtual_interface(
        outpost="op-two", group="local_gateway", routing_domain="one", device=1, vlan=2900
    ),
    edit.modify_service_link(outpost="op", connectivity="private", vpc="idle", subnet="anchors"),
    edit.modify_region(zones=["us-west-2a"]),
    edit.run_instances(instances=["more"], subnet="rack", ami_snapshots=2),
    together(
        edit.create_route(
            vpc="app", route_table="idle", destination_cidr_block="10.7.0.0/16", nat_gateway="nat"
        ),
        edit.delete_nat_gateway(vpc="app", nat_gateway="nat"),
    ),
    edit.associate_address(network_interface="extra", customer_owned_ip="auto"),
    *(
        authorize(vpc="app", group="idle", **traffic, cidr_ip="10.0.0.0/8")
        for authorize in (
            edit.authorize_security_group_ingress,
            edit.authorize_security_group_egress,
        )
        for traffic in TRAFFIC
    ),
    *(
        edit.create_network_acl_entry(
            vpc="app",
            network_acl="strict",
            rule_number=80,
            protocol="1",
            rule_action="allow",
            egress=egress,
            cidr_block="0.0.0.0/0",
            icmp_type_code={"type": 3, "code": 4},
        )
        for egress in (True, False)
    ),
    edit.create_network_acl_entry(
        vpc="app",
        network_acl="strict",
        rule_number=80,
        protocol="6",
        rule_action="allow",
        egress=False,
        cidr_block="0.0.0.0/0",
        port_range={"from": 22, "to": 22},
    ),
]
