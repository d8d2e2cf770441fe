"""moto's codec, an independent one, understands each call and writes each answer as ours does."""

from __future__ import annotations

import random
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore import parsers
from botocore.awsrequest import HeadersDict
from botocore.loaders import Loader
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator
from moto.core.model import ServiceModel as MotosModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from test_api_codec import sent, value
from werkzeug.datastructures import Headers, MultiDict

from testbed.api.codec.models import protocols, service_model
from testbed.api.codec.requests import Call, Request, decode
from testbed.api.codec.responses import encode

SERVICES = ("ec2", "sts", "iam", "ssm", "logs", "outposts", "kms")
OPERATIONS = 60


@cache
def motos_model(service: str) -> Any:
    """A service's model in the classes that moto has for it."""
    return MotosModel(Loader().load_service_model(service, "service-2"), service)


def motos(protocol: str, operation: Any, request: Request) -> dict[str, Any]:
    """The parameters of a request as moto decodes them."""
    query = parse_qsl(request.query, keep_blank_values=True)
    form = parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)
    parser = PROTOCOL_PARSERS[protocol](operation, timestamp_parser=parse_timestamp)
    given = {
        "body": request.body,
        "headers": Headers(list(request.headers.items())),
        "method": request.method,
        "url_params": {},
        "url_path": request.path,
        "values": MultiDict(form if protocol in ("ec2", "query") else query),
    }
    return dict(parser.parse(given))


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "outposts"])
def test_moto_decodes_calls_to_the_same_parameters(service: str) -> None:
    chance = random.Random(service)
    model = service_model(service)
    protocol = protocols(model)[0]
    compared = 0
    for name in chance.sample(model.operation_names, min(OPERATIONS, len(model.operation_names))):
        operation = model.operation_model(name)
        parameters = value(operation.input_shape, chance) if operation.input_shape else {}
        shape = operation.input_shape
        if shape is None or ParamValidator().validate(parameters, shape).has_errors():
            continue
        request = sent(service, name, parameters)
        call = Call()
        decode(request, call)
        assert call.parameters == motos(
            protocol, motos_model(service).operation_model(name), request
        ), name
        compared += 1
    assert compared > 5


@pytest.mark.parametrize("service", SERVICES)
def test_clients_read_motos_answers_and_ours_alike(service: str) -> None:
    chance = random.Random(service)
    model = service_model(service)
    protocol = protocols(model)[0]
    compared = 0
    for name in chance.sample(model.operation_names, min(OPERATIONS, len(model.operation_names))):
        operation = model.operation_model(name)
        if operation.output_shape is None or operation.has_event_stream_output:
            continue
        result = value(operation.output_shape, chance)
        call = Call(service=service, protocol=protocol, model=model, operation=operation)
        ours = encode(call, result)
        serializer = get_serializer_class(service, protocol)(
            motos_model(service).operation_model(name)
        )
        theirs = serializer.serialize(result)
        read = [
            parsers.create_parser(protocol).parse(
                {
                    "body": body if isinstance(body, bytes) else body.encode(),
                    "headers": HeadersDict(headers),
                    "status_code": status,
                },
                operation.output_shape,
            )
            for body, headers, status in (
                (ours.body, ours.headers, ours.status),
                (theirs["body"], theirs["headers"], theirs["status_code"]),
            )
        ]
        for each in read:
            each.pop("ResponseMetadata", None)
        assert read[0] == read[1], name
        compared += 1
    assert compared > 5
