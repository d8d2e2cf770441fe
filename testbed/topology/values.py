"""Scalar types of the topology file: names, targets, numbers and quantities.

Each is a pydantic type with a sentence of its own for what is wrong and,
where it helps, a hint with the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from testbed.errors import shorten
from testbed.quantities import (
    DELAY,
    HIGHEST_RATE_MBPS,
    LONGEST_DELAY_MS,
    RATE,
    delay_ms,
    rate_mbps,
    span_s,
)
from testbed.topology.form_factors import RACKS, SERVERS
from testbed.topology.model import Target as RouteTarget
from testbed.topology.model import TargetKind

NAME_LENGTH = 32
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$"
OWNED_TARGETS: tuple[TargetKind, ...] = (  # NAME.KIND
    "instance",
    "local-gateway",
    "nat-gateway",
    "network-interface",
    "transit-gateway",
    "vpc-endpoint",
    "vpc-peering-connection",
)
SINGLE_TARGETS: tuple[TargetKind, ...] = (  # of which a VPC has one
    "egress-only-internet-gateway",
    "internet-gateway",
    "local",
    "virtual-private-gateway",
)
INTERFACE_TARGETS = ("instance", "network-interface")  # of a local gateway's static routes
HOST_INTERFACE_PATTERN = r"^[^\s/:@]{1,15}$"  # what the kernel allows, without its separators
MIN_MTU, MAX_MTU = 576, 9216
SHORTEST_SPAN_S, LONGEST_SPAN_S = 0.01, 366 * 86400.0

_NAME = re.compile(NAME_PATTERN[:-1] + r"\Z")
_HOST_INTERFACE = re.compile(HOST_INTERFACE_PATTERN[:-1] + r"\Z")
_SERVICE = re.compile(r"[a-z][a-z0-9-]{0,31}(?:\.[a-z0-9-]{1,32}){0,2}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?|\*")
_RATE = re.compile(RATE)
_NUMBER = re.compile(r"[0-9.]+")
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]{0,15}\.[a-z0-9][a-z0-9-]{0,15}")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}


def wrong(message: str, hint: str | None = None) -> PydanticCustomError:
    """An error with the user's sentence and hint, to be raised by a validator."""
    return PydanticCustomError("value", "{message}", {"message": message, "hint": hint})


def show(value: Any) -> str:
    """A value of the user's, as an error message quotes it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return "nothing" if value is None else f"'{shorten(str(value))}'"


def is_name(text: str) -> bool:
    """Whether a text may be the name of something."""
    return bool(_NAME.match(text))


def _name(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise wrong(f"must be a name, is {show(value)}")
    text = str(value)
    if is_name(text):
        return text
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()[:NAME_LENGTH]).strip("-")
    rule = f"1 to {NAME_LENGTH} lower-case letters, digits and hyphens"
    hint = f"did you mean '{slug}'?" if slug else None
    raise wrong(f"{show(text)} is not a name: {rule}, a letter or digit at both ends", hint)


def _service(value: Any) -> str:
    if isinstance(value, str) and _SERVICE.fullmatch(value):
        return value
    raise wrong(f"must be an AWS service's name such as s3, ec2 or ecr.api, is {show(value)}")


def _whole(value: Any, lowest: int, highest: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(f"must be a whole number, is {show(value)}; {what}")
    if not lowest <= value <= highest:
        raise wrong(f"is {value}; {what}")
    return value


def _customer_asn(value: Any) -> int:
    rule = "a customer's ASN is 1 to 4294967294 (AWS: requirements checklist)"
    return _not_reserved(_whole(value, 1, 4294967294, rule))


def _outpost_asn(value: Any) -> int:
    rule = (
        "the Outpost's side has a private ASN, 64512 to 65534 or 4200000000 to 4294967294"
        " (AWS: requirements checklist)"
    )
    number = _not_reserved(_whole(value, 0, 4294967295, rule))
    if 64512 <= number <= 65534 or 4200000000 <= number <= 4294967294:
        return number
    raise wrong(f"is {number}; {rule}")


def _not_reserved(number: int) -> int:
    if number == 65535:
        raise wrong("is 65535, which is reserved (RFC 7300)", "use 64512 to 65534")
    if number == 23456:
        raise wrong("is 23456, AS_TRANS, which is reserved (RFC 6793)")
    return number


def _vlan(value: Any) -> int:
    return _whole(value, 1, 4094, "a VLAN ID is 1 to 4094 (IEEE 802.1Q, AWS: local-rack)")


def _mtu(value: Any) -> int:
    return _whole(value, MIN_MTU, MAX_MTU, f"an MTU is {MIN_MTU} to {MAX_MTU} bytes")


def _delay(value: Any) -> float:
    try:
        delay = round(delay_ms(value if isinstance(value, str) else ""), 6)
    except ValueError:
        hint = f"did you mean {value}ms?" if _plain_number(value) else None
        message = f"must be a delay such as 15ms, 100us or 1s, is {show(value)}"
        raise wrong(message, hint) from None
    if delay > LONGEST_DELAY_MS:
        raise wrong(f"is {value}; a delay is at most {LONGEST_DELAY_MS / 1000:g}s")
    return delay


def _span(value: Any) -> float:
    try:
        span = span_s(value if isinstance(value, str) and not _NUMBER.fullmatch(value) else "")
    except ValueError:
        hint = f"did you mean {value}s?" if _plain_number(value) else None
        message = f"must be a span of time such as 30s, 5m or 1h30m, is {show(value)}"
        raise wrong(message, hint) from None
    if not SHORTEST_SPAN_S <= span <= LONGEST_SPAN_S:
        raise wrong(f"is {value}; a span of time here is 10ms to {LONGEST_SPAN_S / 86400:g}d")
    return span


def _rate(value: Any) -> float:
    if value == "unlimited":
        return 0.0
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        hint = f"did you mean {value}M?" if _plain_number(value) else None
        raise wrong(f"must be a rate such as 100M, 10G or unlimited, is {show(value)}", hint)
    rate = round(rate_mbps(value), 6)
    if not 0 < rate <= HIGHEST_RATE_MBPS:
        raise wrong(f"is {value}; a rate is more than 0 and at most {HIGHEST_RATE_MBPS / 1000:g}G")
    return rate


def _target(value: Any) -> RouteTarget:
    text = value if isinstance(value, str) else ""
    owner, _, word = text.rpartition(".")
    for kind in OWNED_TARGETS:
        if word == kind and is_name(owner):
            return RouteTarget(kind, owner)
    for kind in SINGLE_TARGETS:
        if text == kind:
            return RouteTarget(kind)
    hint = f"targets are NAME.KIND, of the kinds {', '.join(OWNED_TARGETS)},"
    hint += f" and {', '.join(SINGLE_TARGETS)}"
    if word in OWNED_TARGETS:
        hint = f"write its owner, too: NAME.{word}"
    elif word in SINGLE_TARGETS:
        hint = f"a VPC has only one, so leave out its name: {word}"
    elif word.replace("_", "-") in (*OWNED_TARGETS, *SINGLE_TARGETS):
        hint = f"did you mean {text.replace('_', '-')}?"
    elif is_name(text):
        hint = f"write its kind, too: {text}.local-gateway, {text}.instance and so on; {hint}"
    raise wrong(f"must be a target such as op-a.local-gateway, is {show(value)}", hint)


def _gateway_target(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    owner, _, word = text.rpartition(".")
    if text == "vif-group" or (word in INTERFACE_TARGETS and is_name(owner)):
        return text
    hint = "targets are vif-group, INSTANCE.instance and INTERFACE.network-interface"
    raise wrong(f"must be the target of a local gateway route, is {show(value)}", hint)


def _pool(value: Any) -> str:
    parts = value.split("/") if isinstance(value, str) else []
    if len(parts) == 2 and all(is_name(part) for part in parts):
        return str(value)
    raise wrong(f"must be a customer-owned IP pool, OUTPOST/POOL, is {show(value)}")


def _host_interface(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if _HOST_INTERFACE.match(text) and text not in {".", "..", "lo"}:
        return text
    raise wrong(f"must be the name of a host interface, such as eth1, is {show(value)}")


def _interface(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if _HOST_INTERFACE.match(text) and text not in {".", ".."}:
        return text
    raise wrong(f"must be a name of up to 15 characters that Linux allows, is {show(value)}")


def _subnet(value: Any) -> str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    parts = text.split("/")
    if len(parts) <= 2 and all(is_name(part) for part in parts):
        return text
    raise wrong(f"must be a subnet's name, or VPC/SUBNET, is {show(value)}")


def _domain_name(value: Any) -> str:
    text = str(value).removesuffix(".").lower() if isinstance(value, str | int) else ""
    labels = text.split(".")
    if len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels):
        return text
    raise wrong(f"must be a domain name such as corp.internal, is {show(value)}")


def _protocol(value: Any) -> int | None:
    if value == "all":
        return None
    if isinstance(value, str) and value in PROTOCOLS:
        return PROTOCOLS[value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    hint = None
    if value == -1:
        hint = "write 'all' instead of AWS's -1"
    raise wrong(f"must be {', '.join(PROTOCOLS)}, all or a number to 255, is {show(value)}", hint)


def _ports(value: Any) -> tuple[int, int]:
    first: Any = value
    last: Any = value
    if isinstance(value, str) and (match := _PORTS.fullmatch(value)):
        first = int(match[1])
        last = int(match[2] or match[1])
    if isinstance(first, bool) or not isinstance(first, int) or not isinstance(last, int):
        raise wrong(f"must be a port such as 80 or a range such as 80-90, is {show(value)}")
    if not 0 <= first <= 65535 or not 0 <= last <= 65535:
        raise wrong(f"is {value}; a port is 0 to 65535")
    if first > last:
        raise wrong(
            f"is {value}; a range begins with its lower port", f"did you mean {last}-{first}?"
        )
    return first, last


def _public_key(value: Any) -> str:
    if isinstance(value, str) and _PUBLIC_KEY.fullmatch(value):
        return value
    raise wrong(f"must be a WireGuard public key, 32 bytes in base64, is {show(value)}")


def _instance_type(value: Any) -> str:
    if isinstance(value, str) and _INSTANCE_TYPE.fullmatch(value):
        return value
    raise wrong(f"must be an instance type such as c5.large, is {show(value)}")


def _slots(value: Any) -> int:
    return _whole(value, 0, 1000, "a server has 0 to 1000 slots for an instance type")


def _form_factor(value: Any) -> str:
    known = [*RACKS, *SERVERS]
    if isinstance(value, str) and value in known:
        return value
    words = f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
    raise wrong(f"must be {words}, is {show(value)}")


def _plain_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def typed(
    validator: Callable[[Any], Any], kind: str = "string", **schema: Any
) -> tuple[PlainValidator, WithJsonSchema]:
    """Return what makes a type of the file's out of a function that checks a value."""
    return PlainValidator(validator), WithJsonSchema({"type": kind, **schema})


Name = Annotated[str, *typed(_name, pattern=NAME_PATTERN)]
ServiceName = Annotated[str, *typed(_service, pattern=rf"^{_SERVICE.pattern}$")]
CustomerAsn = Annotated[int, *typed(_customer_asn, "integer", minimum=1, maximum=4294967294)]
OutpostAsn = Annotated[int, *typed(_outpost_asn, "integer", minimum=64512, maximum=4294967294)]
Target = Annotated[
    RouteTarget,
    *typed(
        _target,
        pattern=rf"^({NAME_PATTERN[1:-1]}\.({'|'.join(OWNED_TARGETS)})|{'|'.join(SINGLE_TARGETS)})$",
    ),
]
GatewayTarget = Annotated[
    str,
    *typed(
        _gateway_target,
        pattern=rf"^({NAME_PATTERN[1:-1]}\.({'|'.join(INTERFACE_TARGETS)})|vif-group)$",
    ),
]
SubnetName = Annotated[
    str, *typed(_subnet, pattern=rf"{NAME_PATTERN[:-1]}(?:/{NAME_PATTERN[1:-1]})?$")
]
PoolName = Annotated[str, *typed(_pool, pattern=rf"{NAME_PATTERN[:-1]}/{NAME_PATTERN[1:]}")]
HostInterface = Annotated[str, *typed(_host_interface, pattern=HOST_INTERFACE_PATTERN)]
InterfaceName = Annotated[str, *typed(_interface, pattern=HOST_INTERFACE_PATTERN)]
Vlan = Annotated[int, *typed(_vlan, "integer", minimum=1, maximum=4094)]
Mtu = Annotated[int, *typed(_mtu, "integer", minimum=MIN_MTU, maximum=MAX_MTU)]
DomainName = Annotated[str, *typed(_domain_name)]
Delay = Annotated[float, *typed(_delay, pattern=rf"^{DELAY}$")]
Span = Annotated[float, *typed(_span, pattern=r"^([0-9.]+(ms|s|m|h|d))+$")]
Rate = Annotated[float, *typed(_rate, pattern=rf"^({_RATE.pattern}|unlimited)$")]
Protocol = Annotated[
    int | None,
    PlainValidator(_protocol),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [*PROTOCOLS, "all"]},
                {"type": "integer", "minimum": 0, "maximum": 255},
            ]
        }
    ),
]
Ports = Annotated[
    tuple[int, int],
    PlainValidator(_ports),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 65535},
                {"type": "string", "pattern": rf"^{_PORTS.pattern}$"},
            ]
        }
    ),
]
PublicKey = Annotated[str, *typed(_public_key, pattern=r"^[A-Za-z0-9+/]{43}=$")]
InstanceType = Annotated[str, *typed(_instance_type, pattern=rf"^{_INSTANCE_TYPE.pattern}$")]
FormFactorName = Annotated[str, *typed(_form_factor, enum=[*RACKS, *SERVERS])]
Slots = Annotated[int, *typed(_slots, "integer", minimum=0, maximum=1000)]
