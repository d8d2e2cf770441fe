"""BGP on a customer device, as the topology file has it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.plan.bgp import GracefulRestart
from testbed.topology.routing_values import Community, Md5Key, PrefixEntry, SessionName
from testbed.topology.schema.base import Form

HoldTime = Annotated[int, Field(ge=0, le=65535)]


class RouteRuleForm(Form):
    """What becomes of some of a session's routes; the first rule that matches decides."""

    prefixes: list[PrefixEntry] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="The prefixes that it matches, such as 10.0.0.0/8 ge 16 le 24. Default: those"
        " that the session has without rules.",
    )
    communities: list[Community] = Field(
        default=[],
        max_length=32,
        description="The communities of which a route has at least one. Default: any route.",
    )
    action: Literal["permit", "deny"] = Field(
        "permit", description="What happens to the routes: permit or deny. Default: permit."
    )
    prepend: int = Field(
        0,
        ge=0,
        le=10,
        description="How often the device's ASN is added to the AS path once more. Default: 0.",
    )
    local_preference: int | None = Field(
        None, ge=0, le=4294967295, description="Their local preference. Default: unchanged."
    )
    med: int | None = Field(
        None,
        ge=0,
        le=4294967295,
        description="Their multi-exit discriminator. Default: unchanged.",
    )
    add_communities: list[Community] = Field(
        default=[], max_length=32, description="The communities that they get. Default: none."
    )


class BfdForm(Form):
    """BFD on this side of a session."""

    interval: int = Field(
        300,
        ge=10,
        le=60000,
        description="The interval between packets, sent and expected, in ms. Default: 300.",
    )
    multiplier: int = Field(
        3, ge=2, le=255, description="How many missing packets end the session. Default: 3."
    )


class BgpSessionForm(Form):
    """BGP settings of a session, on the device's side."""

    hold_time: HoldTime | None = Field(
        None, description="The hold time in s, 0 or at least 3. Default: 90."
    )
    keepalive_time: int | None = Field(
        None,
        ge=1,
        le=21845,
        description="The time between keepalives in s, at most a third of the hold time. Default:"
        " a third of it.",
    )
    bfd: BfdForm | None = Field(
        None, description="BFD. Default: 300 ms, 3 times, where the other end is AWS's and has it."
    )
    graceful_restart: GracefulRestart | None = Field(
        None,
        description="What it says of graceful restart: restart, helper or off. Default: helper.",
    )
    password: Md5Key | None = Field(
        None,
        description="The MD5 key that signs the segments. Default: none; on Direct Connect the"
        " virtual interface's auth_key.",
    )
    ttl_security: bool | None = Field(
        None, description="Whether only packets with TTL 255 count (GTSM). Default: false."
    )
    max_prefixes: int | None = Field(
        None,
        ge=1,
        le=1000000,
        description="How many prefixes the neighbour may announce before the session is taken"
        " down. Default: any number.",
    )
    allowas_in: int | None = Field(
        None,
        ge=0,
        le=10,
        description="How often the device's own ASN may be in an AS path that it accepts."
        " Default: 0.",
    )
    as_override: bool | None = Field(
        None,
        description="Whether the neighbour's ASN is replaced by the device's in what is announced"
        " to it. Default: false.",
    )
    remove_private_as: bool | None = Field(
        None,
        description="Whether private ASNs but the neighbour's are taken out of what is announced."
        " Default: false.",
    )
    default_originate: bool | None = Field(
        None, description="Whether a default route is announced. Default: false."
    )
    inbound: list[RouteRuleForm] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Rules for what the neighbour announces. Default: all is accepted.",
    )
    outbound: list[RouteRuleForm] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Rules for what is announced to the neighbour. Default: to an Outpost's"
        " service link the Region's addresses, on Direct Connect in VRF sl the infrastructure"
        " subnets, else everything.",
    )


class BgpForm(BgpSessionForm):
    """BGP settings of a customer device: of all its sessions, and of single ones."""

    restart_time: int = Field(
        120,
        ge=1,
        le=4095,
        description="The time in s within which it is back from a graceful restart. Default: 120.",
    )
    sessions: dict[SessionName, BgpSessionForm] = Field(
        default={},
        description="The settings of sessions, by neighbour (op.ond1, cnd2, region, wan, a"
        " firewall, a connection) or one session of it (op.ond1/local-gateway). Default: none.",
    )
