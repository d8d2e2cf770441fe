"""Types of values that processes have: images, paths, users, listeners."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from testbed.topology.values import show, typed, wrong

BUSYBOX = "busybox"
TRANSPORTS = ("oci", "oci-archive", "docker-archive", "docker")
PORT_LIMIT = 65535

_PATH = r"/[^\0:]*"
_REGISTRY = r"docker://[\w.:-]+/[\w./:@-]+"
_IMAGE = re.compile(
    rf"{BUSYBOX}|{_PATH}|oci:{_PATH}(:[\w.-]+)?|(oci|docker)-archive:{_PATH}|{_REGISTRY}"
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_LISTENER = re.compile(r"(tcp|udp)/([0-9]{1,5})")


def _file_path(value: Any) -> str:
    if isinstance(value, str) and value.startswith("/") and "\0" not in value:
        if ".." not in PurePosixPath(value).parts:
            return str(PurePosixPath(value))
        raise wrong(f"must be a path without .., is {show(value)}")
    raise wrong(f"must be an absolute path, is {show(value)}")


def _image(value: Any) -> str:
    if isinstance(value, str) and _IMAGE.fullmatch(value):
        return value
    hint = f"images are {BUSYBOX}, a directory's absolute path, or TRANSPORT:PLACE"
    raise wrong(
        f"must be an image, is {show(value)}",
        f"{hint} with one of {', '.join(TRANSPORTS)}; paths are absolute",
    )


def _user(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if _USER.fullmatch(text):
        return text
    raise wrong(f"must be USER or USER:GROUP, names or numbers, is {show(value)}")


def _listener(value: Any) -> tuple[Literal["tcp", "udp"], int]:
    match = _LISTENER.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[2]) <= PORT_LIMIT:
        hint = f"did you mean tcp/{value}?" if isinstance(value, int) else None
        raise wrong(f"must be a port such as tcp/80 or udp/53, is {show(value)}", hint)
    return ("tcp" if match[1] == "tcp" else "udp"), int(match[2])


FilePath = Annotated[str, *typed(_file_path, pattern=r"^/")]
Image = Annotated[str, *typed(_image, pattern=rf"^({_IMAGE.pattern})$")]
User = Annotated[str, *typed(_user, pattern=rf"^{_USER.pattern}$")]
Listener = Annotated[
    tuple[Literal["tcp", "udp"], int], *typed(_listener, pattern=rf"^{_LISTENER.pattern}$")
]
