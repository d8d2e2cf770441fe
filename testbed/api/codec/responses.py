"""Answers to AWS's clients: results and errors as HTTP responses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from testbed.api.codec import cbors, jsons, xmls
from testbed.api.codec.jsons import name_of
from testbed.api.codec.models import FORMS
from testbed.api.codec.requests import Call
from testbed.api.codec.scalars import write_text
from testbed.api.errors import ApiError

XML, JSON = "text/xml;charset=UTF-8", "application/json"
Headers = dict[str, str]


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


def encode(call: Call, result: dict[str, Any]) -> Response:
    """Return the response that has an operation's result."""
    assert call.operation
    assert call.model
    shape: Any = call.operation.output_shape
    headers = {"x-amzn-RequestId": call.request_id}
    if call.protocol in FORMS:
        return Response(200, headers | {"Content-Type": XML}, _form_answer(call, shape, result))
    if call.protocol == "json":
        version = call.model.metadata.get("jsonVersion", "1.1")
        body = json.dumps(jsons.write(shape, result) if shape else {}).encode()
        return Response(200, headers | {"Content-Type": f"application/x-amz-json-{version}"}, body)
    if call.protocol == cbors.PROTOCOL:
        body = cbors.dump(cbors.write(shape, result) if shape else {})
        return Response(200, headers | cbors.HEADER | {"Content-Type": cbors.TYPE}, body)
    return _rest_answer(call, shape, result, headers)


def _form_answer(call: Call, shape: Any, result: dict[str, Any]) -> bytes:
    assert call.operation
    assert call.model
    space = call.model.metadata.get("xmlNamespace")
    space = space or f"http://ec2.amazonaws.com/doc/{call.model.api_version}/"
    root = ET.Element(f"{call.name}Response", {"xmlns": space})
    if call.protocol == "ec2":
        ET.SubElement(root, "requestId").text = call.request_id
        if shape:
            xmls.write_members(shape, result, root, "item")
        return xmls.dump(root)
    if shape:
        wrapper = shape.serialization.get("resultWrapper")
        xmls.write_members(shape, result, ET.SubElement(root, wrapper) if wrapper else root)
    ET.SubElement(ET.SubElement(root, "ResponseMetadata"), "RequestId").text = call.request_id
    return xmls.dump(root)


def _rest_answer(call: Call, shape: Any, result: dict[str, Any], headers: Headers) -> Response:
    assert call.operation
    status = int(call.operation.http.get("responseCode", 200))
    kind = XML if call.protocol == "rest-xml" else JSON
    headers["Content-Type"] = kind
    if shape is None:
        return Response(status, headers, b"")
    for member, inner in shape.members.items():
        value, name = result.get(member), name_of(inner, member)
        match inner.serialization.get("location"):
            case _ if value is None:
                continue
            case "header":
                headers[name] = _line(write_text(inner, value, "rfc822"))
            case "headers":
                headers |= {f"{name}{key}": _line(str(text)) for key, text in value.items()}
            case "statusCode":
                status = int(value)
    return Response(status, headers, _rest_body(call, shape, result))


def _rest_body(call: Call, shape: Any, result: dict[str, Any]) -> bytes:
    assert call.model
    inner: Any = shape
    value: Any = result
    name = shape.serialization.get("locationName") or f"{call.name}Response"
    if payload := shape.serialization.get("payload"):
        inner, value = shape.members[payload], result.get(payload)
        name = name_of(inner, inner.name)
    if value is None:
        return b""
    if inner.type_name in ("blob", "string"):
        return value if isinstance(value, bytes) else str(value).encode()
    if call.protocol == "rest-json":
        return json.dumps(jsons.write(inner, value)).encode()
    version = call.model.api_version
    space = call.model.metadata.get("xmlNamespace")
    root = ET.Element(
        name, {"xmlns": space or f"https://{call.service}.amazonaws.com/doc/{version}/"}
    )
    xmls.write_members(inner, value, root)
    return xmls.dump(root)


def _line(text: str) -> str:
    """Return a text that cannot end a header."""
    return text.replace("\r", " ").replace("\n", " ")


def encode_error(call: Call, error: ApiError) -> Response:
    """Return the response that has an error, with the status that the model gives it."""
    status, code = error.status, error.code
    for shape in call.operation.error_shapes if call.operation else ():
        if code in (shape.name, shape.error_code):
            status = shape.metadata.get("error", {}).get("httpStatusCode", status)
    headers = {"x-amzn-RequestId": call.request_id}
    if call.protocol in (*FORMS, "rest-xml"):
        body = _xml_error(call, error, status)
        return Response(status, headers | {"Content-Type": XML}, body)
    if call.protocol == cbors.PROTOCOL:
        body = cbors.dump({"__type": code, "message": error.message})
        headers |= {**cbors.HEADER, "Content-Type": cbors.TYPE}
        headers["x-amzn-query-error"] = f"{code};{'Sender' if status < 500 else 'Receiver'}"
        return Response(status, headers, body)
    text = {"__type": code, "message": error.message, "Message": error.message}
    headers |= {"Content-Type": JSON, "x-amzn-ErrorType": code}
    return Response(status, headers, json.dumps(text).encode())


def _xml_error(call: Call, error: ApiError, status: int) -> bytes:
    ec2 = call.protocol == "ec2"
    root = ET.Element("Response" if ec2 else "ErrorResponse")
    if ec2:
        box = ET.SubElement(ET.SubElement(root, "Errors"), "Error")
    else:
        box = ET.SubElement(root, "Error")
        ET.SubElement(box, "Type").text = "Sender" if status < 500 else "Receiver"
    ET.SubElement(box, "Code").text = xmls.clean(error.code)
    ET.SubElement(box, "Message").text = xmls.clean(error.message)
    ET.SubElement(root, "RequestID" if ec2 else "RequestId").text = call.request_id
    return xmls.dump(root)
