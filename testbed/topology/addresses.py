"""Addresses, CIDR blocks and what else of the topology file may stand for some."""

from __future__ import annotations

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
)
from typing import Annotated, Any, Literal

from testbed.topology.values import NAME_PATTERN, is_name, show, typed, wrong

LONGEST_IPV6 = 49  # characters, with a prefix length
AMAZON_PROVIDED_DNS = "AmazonProvidedDNS"
_OCTETS = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_ADDRESS = re.compile(_OCTETS)
_PREFIX = re.compile(_OCTETS + r"/[0-9]{1,2}")
_AWS_PREFIX_LIST = re.compile(r"com\.amazonaws\.[a-z0-9-]{1,32}\.[a-z0-9-]{1,32}")
MANAGED_LIST = re.compile(r"com\.amazonaws\.[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}")

# No block begins in these, so that an address counted from a block's begin always exists.
RESERVED, MULTICAST6 = IPv4Network("240.0.0.0/4"), IPv6Network("ff00::/8")


def _address(value: Any) -> IPv4Address:
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        try:
            return IPv4Address(value)
        except AddressValueError:
            pass
    raise wrong(f"must be an IPv4 address such as 10.0.0.1, is {show(value)}")


def _interface(value: Any) -> IPv4Interface:
    if isinstance(value, str) and _PREFIX.fullmatch(value):
        try:
            return IPv4Interface(value)
        except (AddressValueError, NetmaskValueError):
            pass
    hint = None
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        hint = f"say how long the prefix is: {value}/30"
    raise wrong(f"must be an address with its prefix, such as 10.0.0.1/30, is {show(value)}", hint)


def _range(value: Any) -> tuple[IPv4Address, IPv4Address]:
    ends = value.split("-") if isinstance(value, str) else []
    if len(ends) == 2 and all(_ADDRESS.fullmatch(end.strip()) for end in ends):
        first, last = (_address(end.strip()) for end in ends)
        if first <= last:
            return first, last
        raise wrong(f"{value} ends before it begins", f"did you mean {last}-{first}?")
    raise wrong(f"must be a range such as 192.168.50.100-192.168.50.150, is {show(value)}")


def _cidr(value: Any) -> IPv4Network:
    if isinstance(value, str) and _PREFIX.fullmatch(value):
        try:
            network = IPv4Network(value, strict=False)
        except (AddressValueError, NetmaskValueError):
            network = None
        if network is not None and str(network) != value:
            message = f"{value} is an address inside a block, not a CIDR block"
            raise wrong(message, f"did you mean {network}?")
        if network is not None and network.network_address in RESERVED:
            raise wrong(f"{network} is not of ordinary unicast addresses (it is in {RESERVED})")
        if network is not None:
            return network
    raise wrong(f"must be a CIDR block such as 10.77.0.0/16, is {show(value)}")


def _address6(value: Any) -> IPv6Address:
    if isinstance(value, str) and len(value) <= LONGEST_IPV6 and "%" not in value:
        try:
            return IPv6Address(value)
        except AddressValueError:
            pass
    raise wrong(f"must be an IPv6 address such as 2001:db8::1, is {show(value)}")


def _cidr6(value: Any) -> IPv6Network:
    if isinstance(value, str) and "/" in value and len(value) <= LONGEST_IPV6 and "%" not in value:
        try:
            network = IPv6Network(value, strict=False)
        except (AddressValueError, NetmaskValueError):
            network = None
        if network is not None and IPv6Address(value.partition("/")[0]) != network.network_address:
            message = f"{value} is an address inside a block, not a CIDR block"
            raise wrong(message, f"did you mean {network}?")
        if network is not None and network.network_address in MULTICAST6:
            raise wrong(f"{network} is not of ordinary unicast addresses (it is in {MULTICAST6})")
        if network is not None:
            return network
    raise wrong(f"must be an IPv6 CIDR block such as 2001:db8::/56, is {show(value)}")


def _ipv6_address(value: Any) -> IPv6Address | Literal["auto"]:
    return "auto" if value == "auto" else _address6(value)


def _cidr_or_list(value: Any) -> IPv4Network | IPv6Network | str:
    """A CIDR block of either family, or the name of a prefix list."""
    text = value if isinstance(value, str) else ""
    if _AWS_PREFIX_LIST.fullmatch(text) or (is_name(text) and not text[0].isdigit()):
        return text
    return _any_cidr(value)


def _any_cidr(value: Any) -> IPv4Network | IPv6Network:
    """A CIDR block of either family."""
    return _cidr6(value) if isinstance(value, str) and ":" in value else _cidr(value)


def _address_or_auto(value: Any) -> IPv4Address | Literal["auto"]:
    return "auto" if value == "auto" else _address(value)


def _address_or_name(value: Any) -> IPv4Address | str:
    return value if isinstance(value, str) and is_name(value) else _address(value)


def _name_server(value: Any) -> IPv4Address | str:
    return value if value == AMAZON_PROVIDED_DNS else _address(value)


def _is_address6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _peer(value: Any) -> IPv4Network | IPv6Network | str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if "/" in text and text[0].isdigit() and "." in text:
        return _cidr(text)
    if ":" in text and "/" in text:
        return _cidr6(text)
    parts = text.split("/")
    if MANAGED_LIST.fullmatch(text) or (len(parts) <= 2 and all(is_name(part) for part in parts)):
        return text
    hint = f"did you mean {text}/32?" if _ADDRESS.fullmatch(text) else None
    if len(text) <= LONGEST_IPV6 and _is_address6(text):
        hint = f"did you mean {text}/128?"
    raise wrong(f"must be a CIDR block, a security group or a prefix list, is {show(value)}", hint)


_ADDRESS_SCHEMA = rf"^{_OCTETS}$"
_PREFIX_SCHEMA = rf"^{_OCTETS}/[0-9]{{1,2}}$"
_ADDRESS6_SCHEMA = r"^[0-9a-fA-F:.]{2,45}$"
_PREFIX6_SCHEMA = r"^[0-9a-fA-F:.]{2,45}/[0-9]{1,3}$"

Address = Annotated[IPv4Address, *typed(_address, pattern=_ADDRESS_SCHEMA)]
AddressRange = Annotated[
    tuple[IPv4Address, IPv4Address], *typed(_range, pattern=rf"^{_OCTETS} ?- ?{_OCTETS}$")
]
Interface = Annotated[IPv4Interface, *typed(_interface, pattern=_PREFIX_SCHEMA)]
Cidr = Annotated[IPv4Network, *typed(_cidr, pattern=_PREFIX_SCHEMA)]
Destination = Annotated[
    IPv4Network | IPv6Network | str,
    *typed(
        _cidr_or_list,
        pattern=rf"{_PREFIX_SCHEMA}|{_PREFIX6_SCHEMA}|{NAME_PATTERN}|^{_AWS_PREFIX_LIST.pattern}$",
    ),
]
AnyCidr = Annotated[
    IPv4Network | IPv6Network, *typed(_any_cidr, pattern=rf"{_PREFIX_SCHEMA}|{_PREFIX6_SCHEMA}")
]
Cidr6 = Annotated[IPv6Network, *typed(_cidr6, pattern=_PREFIX6_SCHEMA)]
Ipv6Address = Annotated[
    IPv6Address | Literal["auto"], *typed(_ipv6_address, pattern=rf"^auto$|{_ADDRESS6_SCHEMA}")
]
AddressOrAuto = Annotated[
    IPv4Address | Literal["auto"], *typed(_address_or_auto, pattern=rf"^(auto|{_OCTETS})$")
]
PublicAddress = Annotated[  # auto, an address, or the name of one that is allocated
    IPv4Address | str, *typed(_address_or_name, pattern=rf"{_ADDRESS_SCHEMA}|{NAME_PATTERN}")
]
NameServer = Annotated[IPv4Address | str, *typed(_name_server)]
Peer = Annotated[IPv4Network | IPv6Network | str, *typed(_peer)]
