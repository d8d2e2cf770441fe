"""HTTP requests of AWS's clients, decoded into an operation and its parameters."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

from botocore.exceptions import DataNotFoundError
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel
from botocore.validate import ParamValidator

from testbed.api.codec import cbors, forms, jsons, xmls
from testbed.api.codec.models import FORMS, protocols, routes, service_model, services_signed_as
from testbed.api.codec.scalars import read_scalar
from testbed.api.errors import ApiError

FORM_TYPE = "application/x-www-form-urlencoded"
CREDENTIAL = re.compile(r"Credential=([^/\s,]+)/\d+/([^/\s,]+)/([^/\s,]+)/aws4_request")
NOT_PARAMETERS = ("Action", "Version")
FIELDS = 10_000  # of a form


@dataclass(frozen=True)
class Request:
    """An HTTP request; the names of `headers` are in lower case, `query` is as it came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Call:
    """A call of an operation, as far as it could be decoded.

    What is decoded is filled in bit by bit, so that an error on the way is answered in the
    protocol that the client speaks.
    """

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    access_key: str = ""
    region: str = ""
    service: str = ""
    protocol: str = "ec2"
    model: ServiceModel | None = None
    operation: OperationModel | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The operation's name."""
        return str(self.operation.name) if self.operation else ""


def decode(request: Request, call: Call) -> None:
    """Fill in what a request says; ApiError where it is not a call, or not a valid one."""
    signed = _credentials(request, call)
    form = _form(request)
    call.service, call.model = _service(signed, dict(form).get("Version"))
    call.protocol = _protocol(request, call.model)
    name, labels = _operation(request, call, dict(form))
    try:
        call.operation = call.model.operation_model(name)
    except (OperationNotFoundError, KeyError):
        shown = name[:100] or f"{request.method} {request.path[:100]}"
        message = f"The action {shown} is not valid for this web service."
        raise ApiError("InvalidAction", message) from None
    call.parameters = _parameters(request, call, form, labels)
    _validate(call)


def _credentials(request: Request, call: Call) -> str:
    """Read whose call it is, and return the service that it is signed for."""
    given = request.headers.get("authorization", "")
    found = CREDENTIAL.search(given)
    if found is None and (presigned := parse_qs(request.query).get("X-Amz-Credential")):
        found = CREDENTIAL.search(f"Credential={presigned[0]}")
    if found is None:
        message = "The request must contain either a valid (registered) AWS access key ID or X.509"
        raise ApiError("MissingAuthenticationToken", f"{message} certificate.", 403)
    call.access_key, call.region, signed = found.groups()
    return str(signed)


def _form(request: Request) -> list[tuple[str, str]]:
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = request.query
    try:
        if content == FORM_TYPE and request.body:
            text = request.body.decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise ApiError("MalformedQueryString", "The query string is malformed.") from None


def _service(signed: str, version: str | None) -> tuple[str, ServiceModel]:
    """Return the service that a request is for: one of those that are signed alike."""
    found = services_signed_as(signed)
    if not found:
        raise ApiError("InvalidAction", f"There is no service {signed[:60]!r} here.", 404)
    try:
        models = {name: service_model(name) for name in found}
    except DataNotFoundError:
        raise ApiError("InvalidAction", f"There is no service {signed[:60]!r} here.", 404) from None
    for name, model in models.items():
        if model.api_version == version:
            return name, model
    return found[0], models[found[0]]


def _protocol(request: Request, model: ServiceModel) -> str:
    allowed = protocols(model)
    if request.headers.get("smithy-protocol") == cbors.NAME and cbors.PROTOCOL in allowed:
        return cbors.PROTOCOL
    if "x-amz-target" in request.headers and "json" in allowed:
        return "json"
    for protocol in allowed:
        if protocol in FORMS or protocol.startswith("rest"):
            return protocol
    return allowed[0]


def _operation(request: Request, call: Call, form: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the operation's name, and the parameters that are parts of its path."""
    if call.protocol == "json":
        return request.headers.get("x-amz-target", "").rpartition(".")[2], {}
    if call.protocol == cbors.PROTOCOL:
        return request.path.rpartition("/operation/")[2], {}
    if call.protocol in FORMS:
        return form.get("Action", ""), {}
    query = parse_qs(request.query, keep_blank_values=True)
    for route in routes(call.service):
        found = route.path.fullmatch(request.path) if route.method == request.method else None
        if found and all(query.get(key) == value for key, value in route.query.items()):
            return route.operation, {k: unquote(v) for k, v in found.groupdict().items()}
    return "", {}


def _parameters(
    request: Request, call: Call, form: list[tuple[str, str]], labels: Mapping[str, str]
) -> dict[str, Any]:
    assert call.operation
    shape = call.operation.input_shape
    if shape is None:
        return {}
    if call.protocol in FORMS:
        pairs = ((name, value) for name, value in form if name not in NOT_PARAMETERS)
        return forms.read_form(shape, pairs, ec2=call.protocol == "ec2")
    if call.protocol == "json":
        found: dict[str, Any] = jsons.read(shape, jsons.load(request.body))
        return found
    if call.protocol == cbors.PROTOCOL:
        return dict(cbors.read(shape, cbors.load(request.body)))
    return _body(request, call, shape) | _around_body(request, shape, labels)


def _body(request: Request, call: Call, shape: Any) -> dict[str, Any]:
    """Return the parameters that a request of a REST protocol has in its body."""
    payload = shape.serialization.get("payload")
    inner = shape.members[payload] if payload else shape
    if payload and inner.type_name in ("blob", "string"):
        if not request.body:
            return {}
        value = (
            request.body if inner.type_name == "blob" else request.body.decode("utf-8", "replace")
        )
        return {payload: value}
    if not request.body:
        return {}
    if call.protocol == "rest-xml":
        found = xmls.read(inner, xmls.load(request.body))
    else:
        found = jsons.read(inner, jsons.load(request.body))
    return {payload: found} if payload else dict(found)


def _around_body(request: Request, shape: Any, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that are in the path, in the query string, in headers."""
    query = parse_qs(request.query, keep_blank_values=True)
    found: dict[str, Any] = {}
    for member, inner in shape.members.items():
        name = str(inner.serialization.get("name", member))
        match inner.serialization.get("location"):
            case "uri" if name in labels:
                found[member] = read_scalar(inner, labels[name], name)
            case "querystring" if inner.type_name == "map":
                found[member] = {key: values[0] for key, values in query.items()}
            case "querystring" if name in query and inner.type_name == "list":
                found[member] = [read_scalar(inner.member, v, name) for v in query[name]]
            case "querystring" if name in query:
                found[member] = read_scalar(inner, query[name][0], name)
            case "header" if name.lower() in request.headers:
                found[member] = read_scalar(inner, request.headers[name.lower()], name)
            case "headers":
                found[member] = {
                    key[len(name) :]: value
                    for key, value in request.headers.items()
                    if key.startswith(name.lower())
                }
    return found


def _validate(call: Call) -> None:
    """Raise ApiError where parameters are missing, or none of their type."""
    assert call.operation
    shape = call.operation.input_shape
    if shape is None:
        return
    report = ParamValidator().validate(call.parameters, shape)
    if not report.has_errors():
        return
    text = report.generate_report()
    if call.protocol == "ec2":
        missing = re.search(r'Missing required parameter in input: "([^"]+)"', text)
        if missing:
            message = f"The request must contain the parameter {missing[1]}"
            raise ApiError("MissingParameter", message)
        raise ApiError("InvalidParameterValue", text)
    if call.protocol == "query":
        raise ApiError("ValidationError", text)
    known = {error.error_code for error in call.operation.error_shapes}
    usual = ("ValidationException", "InvalidParameterException", "InvalidRequestException")
    raise ApiError(next((code for code in usual if code in known), usual[0]), text)
