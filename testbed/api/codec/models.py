"""The service models of botocore, and what follows from them: routes and paginators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader
from botocore.model import ServiceModel

_LOADER = Loader()
FORMS = ("ec2", "query")  # protocols whose requests are HTML forms
SIGNED_AS = {  # names in signatures that are not botocore's names of services
    "elasticloadbalancing": ("elbv2", "elb"),
    "monitoring": ("cloudwatch",),
    "s3-outposts": ("s3outposts",),
}


@cache
def service_model(service: str) -> ServiceModel:
    """Return the model of a service, by botocore's name for it."""
    return ServiceModel(_LOADER.load_service_model(service, "service-2"), service)


def protocols(model: ServiceModel) -> list[str]:
    """Return the protocols that a service speaks, the best one first."""
    given: list[str] = model.metadata.get("protocols") or [model.metadata["protocol"]]
    return given


def services_signed_as(name: str) -> tuple[str, ...]:
    """Return the services whose requests are signed for `name`; none where it is not known."""
    if name in SIGNED_AS:
        return SIGNED_AS[name]
    try:
        _LOADER.determine_latest_version(name, "service-2")
    except (DataNotFoundError, UnknownServiceError):
        return ()
    return (name,)


@dataclass(frozen=True)
class Route:
    """Where an operation of a REST protocol is: method, path, literal query parameters."""

    operation: str
    method: str
    path: re.Pattern[str]
    query: dict[str, list[str]]
    literals: int  # characters of the path that are not parameters


@cache
def routes(service: str) -> tuple[Route, ...]:
    """Return the routes of a service, the most specific ones first."""
    found = []
    model = service_model(service)
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = str(http["requestUri"]).partition("?")
        literals = len(re.sub(r"\{[^}]*\}", "", path))
        words = parse_qs(query, keep_blank_values=True)
        found.append(Route(name, http["method"], _pattern(path), words, literals))
    return tuple(sorted(found, key=lambda route: (-len(route.query), -route.literals)))


def _pattern(path: str) -> re.Pattern[str]:
    """Return what a path looks like; a parameter that ends in + may have slashes in it."""
    text = ""
    for part in re.split(r"(\{[^}]*\})", path.rstrip("/")):
        if part.startswith("{"):
            name = part[1:-1]
            text += f"(?P<{name.rstrip('+')}>{'.+' if name.endswith('+') else '[^/]+'})"
        else:
            text += re.escape(part)
    return re.compile(f"{text}/?")


@cache
def paginator(service: str, operation: str) -> dict[str, Any] | None:
    """Return how the answers of an operation come in pages; None: they don't."""
    try:
        pages = _LOADER.load_service_model(service, "paginators-1")["pagination"]
    except (DataNotFoundError, UnknownServiceError):
        return None
    found: dict[str, Any] | None = pages.get(operation)
    return found
