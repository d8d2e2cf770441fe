"""AWS's wire protocols: what botocore's client writes is read, what is written it reads."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore import parsers, serialize
from botocore.awsrequest import HeadersDict
from botocore.validate import ParamValidator

from testbed.api.codec.models import protocols, service_model
from testbed.api.codec.pages import page
from testbed.api.codec.requests import Call, Request, decode
from testbed.api.codec.responses import encode, encode_error
from testbed.api.errors import ApiError

SERVICES = ("ec2", "outposts", "sts", "iam", "ssm", "logs", "route53", "kms", "cloudwatch")
DEEPEST, OPERATIONS = 4, 120
EMPTY: tuple[Any, ...] = ({}, [])
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-west-2/{}/aws4_request, Signature=0"


def value(shape: Any, chance: random.Random, depth: int = 0) -> Any:
    """A random value of a shape, without empty structures and lists, which forms cannot have."""
    match shape.type_name:
        case "structure":
            return _structure(shape, chance, depth)
        case "list":
            rows = [value(shape.member, chance, depth + 1) for _ in range(_length(shape))]
            return [row for row in rows if row not in EMPTY]
        case "map":
            pairs = {
                value(shape.key, chance, depth + 1): value(shape.value, chance, depth + 1)
                for _ in range(2)
            }
            return {key: row for key, row in pairs.items() if row not in EMPTY}
        case _:
            return _scalar(shape, chance)


def _structure(shape: Any, chance: random.Random, depth: int) -> Any:
    if shape.is_document_type:
        return {"a": 1}
    members = list(shape.members.items())
    if shape.is_tagged_union:
        members = [chance.choice(members)]
    found = {}
    for name, inner in members:
        wanted = name in shape.required_members or shape.is_tagged_union
        if wanted or (depth < DEEPEST and chance.random() < 0.5):
            made = value(inner, chance, depth + 1)
            if made not in EMPTY:
                found[name] = made
    return found


def _length(shape: Any) -> int:
    return max(int(shape.metadata.get("min", 0)), 1)


def _scalar(shape: Any, chance: random.Random) -> Any:
    least = int(shape.metadata.get("min") or 0)
    most = max(least, min(int(shape.metadata.get("max") or 99), 99))
    length = max(least, 5)
    text = "".join(chance.choice('abc xyz<&>é"') for _ in range(length)).strip()
    made = {
        "integer": chance.randint(least, most),
        "long": chance.randint(least, most),
        "float": chance.randint(0, 100) + 0.5,
        "double": chance.randint(0, 100) + 0.5,
        "boolean": chance.random() < 0.5,
        "timestamp": AT,
        "blob": chance.randbytes(8),
        "string": text.ljust(length, "q"),
    }
    enum = getattr(shape, "enum", None)
    return chance.choice(enum) if enum else made.get(shape.type_name, made["string"])


def sent(service: str, operation: str, parameters: dict[str, Any]) -> Request:
    """What botocore's client sends for a call."""
    model = service_model(service)
    made = serialize.create_serializer(protocols(model)[0], include_validation=False)
    http = made.serialize_to_request(parameters, model.operation_model(operation))
    path, _, literal = http["url_path"].partition("?")
    given = http["query_string"]
    query = given if isinstance(given, str) else urlencode(given, doseq=True)
    body = http["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    headers = {name.lower(): text for name, text in http["headers"].items()}
    headers["authorization"] = SIGNED.format(model.signing_name)
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    return Request(http["method"], path, "&".join(filter(None, (literal, query))), headers, data)


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_client_sends_is_decoded(service: str) -> None:
    chance = random.Random(service)
    model = service_model(service)
    names = chance.sample(model.operation_names, min(OPERATIONS, len(model.operation_names)))
    for name in names:
        shape = model.operation_model(name).input_shape
        parameters = value(shape, chance) if shape else {}
        if shape and ParamValidator().validate(parameters, shape).has_errors():
            continue  # something required was empty
        call = Call()
        decode(sent(service, name, parameters), call)
        assert (call.service, call.name) == (service, name)
        assert call.parameters == parameters


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_encoded_a_client_reads(service: str) -> None:
    chance = random.Random(service)
    model = service_model(service)
    names = chance.sample(model.operation_names, min(OPERATIONS, len(model.operation_names)))
    for name in names:
        operation = model.operation_model(name)
        shape = operation.output_shape
        if shape is None or operation.has_event_stream_output:
            continue
        result = value(shape, chance)
        protocol = protocols(model)[0]
        call = Call(service=service, protocol=protocol, model=model, operation=operation)
        answer = encode(call, result)
        http = {
            "body": answer.body,
            "headers": HeadersDict(answer.headers),
            "status_code": answer.status,
        }
        read = parsers.create_parser(protocol).parse(http, shape)
        read.pop("ResponseMetadata")
        assert read == result, name


@pytest.mark.parametrize("service", SERVICES)
def test_errors_are_read_by_clients(service: str) -> None:
    model = service_model(service)
    operation = model.operation_model(model.operation_names[0])
    protocol = protocols(model)[0]
    call = Call(service=service, protocol=protocol, model=model, operation=operation)
    answer = encode_error(call, ApiError("SomeCode", "It is <so>\x00.", 400))
    http = {
        "body": answer.body,
        "headers": HeadersDict(answer.headers),
        "status_code": answer.status,
    }
    read = parsers.create_parser(protocol).parse(http, operation.output_shape)
    assert read["Error"]["Code"] == "SomeCode"
    assert "It is <so>" in read["Error"]["Message"]


def call_of(body: str, **headers: str) -> Call:
    call = Call()
    given = {
        "authorization": SIGNED.format("ec2"),
        "content-type": "application/x-www-form-urlencoded",
        **headers,
    }
    decode(Request("POST", "/", "", given, body.encode()), call)
    return call


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("Action=Nothing", "InvalidAction"),
        ("Action=CreateRoute&DestinationCidrBlock=10.0.0.0/8", "MissingParameter"),
        ("Action=DescribeVpcs&Wrong=1", "UnknownParameter"),
        ("Action=DescribeVpcs&MaxResults=many", "InvalidParameterValue"),
        ("Action=DescribeVpcs&VpcId.1=a&VpcId.1.x=b", "InvalidParameterCombination"),
        ("Action=DescribeVpcs&VpcId.x=a", "InvalidParameterValue"),
        ("Action=DescribeVpcs&" + "a." * 50 + "b=1", "InvalidParameterCombination"),
        (
            "Action=DescribeVpcs&" + "&".join(f"VpcId.{n}=v" for n in range(10_001)),
            "MalformedQueryString",
        ),
    ],
)
def test_what_is_not_a_call_is_refused_with_ec2s_code(body: str, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        call_of(body)
    assert refused.value.code == code


def test_a_request_without_a_signature_is_refused() -> None:
    with pytest.raises(ApiError, match="AWS access key"):
        call_of("Action=DescribeVpcs", authorization="Bearer x")


def test_entities_are_not_expanded() -> None:
    body = b'<!DOCTYPE a [<!ENTITY b "c">]><CreateHostedZoneRequest>&b;</CreateHostedZoneRequest>'
    headers = {"authorization": SIGNED.format("route53")}
    with pytest.raises(ApiError) as refused:
        decode(Request("POST", "/2013-04-01/hostedzone", "", headers, body), Call())
    assert refused.value.code == "MalformedXML"


def test_long_answers_come_in_pages() -> None:
    rows = [{"VpcId": f"vpc-{number}"} for number in range(5)]
    call = call_of("Action=DescribeVpcs&MaxResults=5")
    assert page(call, {"Vpcs": rows}) == {"Vpcs": rows}
    call.parameters["MaxResults"] = 2
    seen = []
    while True:
        part = page(call, {"Vpcs": rows})
        seen += part["Vpcs"]
        if "NextToken" not in part:
            break
        assert len(part["Vpcs"]) == 2
        call.parameters["NextToken"] = part["NextToken"]
    assert seen == rows
    call.parameters["NextToken"] = "AAAA"
    with pytest.raises(ApiError, match="token"):
        page(call, {"Vpcs": rows})
