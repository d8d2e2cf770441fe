"""Scalar types of BGP in the topology file: prefixes of a list, communities, keys, sessions."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated, Any

from testbed.plan.bgp import PrefixRange
from testbed.topology.values import NAME_PATTERN, show, typed, wrong

WELL_KNOWN = {  # RFC 1997, RFC 7999
    "no-export": "65535:65281",
    "no-advertise": "65535:65282",
    "no-export-subconfed": "65535:65283",
    "blackhole": "65535:666",
}
_PREFIX = re.compile(r"(\S+?)(?: ge ([0-9]{1,2}))?(?: le ([0-9]{1,2}))?")
_COMMUNITY = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
_PASSWORD = re.compile(r"[!#-\[\]-~]{1,80}")  # printable, without space, quotation mark, backslash
SESSION_PATTERN = rf"{NAME_PATTERN[:-1]}(?:\.ond[1-9][0-9]?)?(?:/[a-z0-9][a-z0-9-]{{0,47}})?$"
_SESSION = re.compile(SESSION_PATTERN[:-1] + r"\Z")


def _prefix(value: Any) -> PrefixRange:
    match = _PREFIX.fullmatch(value) if isinstance(value, str) else None
    hint = "for example 10.0.0.0/8, or 10.0.0.0/8 ge 16 le 24 for the prefixes in it so long"
    if match is None:
        raise wrong(f"must be an entry of a prefix list, is {show(value)}", hint)
    try:
        network = IPv4Network(match[1])
    except ValueError as error:
        raise wrong(f"{show(value)} begins with no CIDR block: {error}", hint) from None
    shortest, longest = int(match[2] or 0), int(match[3] or 0)
    if not shortest and not longest:
        return PrefixRange(str(network))
    shortest, longest = shortest or network.prefixlen, longest or 32
    if not network.prefixlen <= shortest <= longest <= 32:
        rule = f"lengths are {network.prefixlen} to 32, and ge at most le"
        raise wrong(f"{show(value)} is no range of lengths: {rule}", hint)
    return PrefixRange(str(network), shortest, longest)


def _community(value: Any) -> str:
    text = WELL_KNOWN.get(value, value) if isinstance(value, str) else ""
    match = _COMMUNITY.fullmatch(text)
    if match and max(int(match[1]), int(match[2])) <= 65535:
        return f"{int(match[1])}:{int(match[2])}"
    hint = f"two numbers to 65535, such as '7224:7300', or {', '.join(WELL_KNOWN)}"
    if isinstance(value, int):  # YAML 1.1 reads 60:30 as a number to the base 60
        hint = f"put it in quotation marks: {hint}"
    raise wrong(f"must be a BGP community, is {show(value)}", hint)


def _password(value: Any) -> str:
    if isinstance(value, str) and _PASSWORD.fullmatch(value):
        return value
    raise wrong('must be 1 to 80 printable characters, without space, " and \\')


def _session(value: Any) -> str:
    if isinstance(value, str) and _SESSION.match(value):
        return value
    hint = "a neighbour such as op.ond1 or cnd2, or one session of it: op.ond1/local-gateway"
    raise wrong(f"{show(value)} is not the name of a session", hint)


PrefixEntry = Annotated[PrefixRange, *typed(_prefix, pattern=rf"^{_PREFIX.pattern}$")]
Community = Annotated[
    str, *typed(_community, pattern=rf"^({_COMMUNITY.pattern}|{'|'.join(WELL_KNOWN)})$")
]
Md5Key = Annotated[str, *typed(_password, pattern=rf"^{_PASSWORD.pattern}$")]
SessionName = Annotated[str, *typed(_session, pattern=SESSION_PATTERN)]
