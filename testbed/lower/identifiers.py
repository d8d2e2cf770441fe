"""Identifiers in AWS's form, such as i-0123456789abcdef0, derived from names."""

from __future__ import annotations

import hashlib

ACCOUNT = "123456789012"


def identifier(prefix: str, *names: str) -> str:
    """The identifier of the object that `names` lead to; always the same one."""
    digest = hashlib.sha256("/".join((prefix, *names)).encode()).hexdigest()
    return f"{prefix}-0{digest[:16]}"


def outpost_arn(region: str, outpost: str) -> str:
    """The Amazon Resource Name of an Outpost."""
    return f"arn:aws:outposts:{region}:{ACCOUNT}:outpost/{identifier('op', outpost)}"
