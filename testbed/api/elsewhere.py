"""What has no packets: moto carries it out, in this process.

Key pairs, images, roles, parameters and the like are needed by AWS's clients, but nothing
on the wire stands for them. Only operations that move no packets on AWS either are moto's:
it never answers success for what would have to be seen on the network.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from testbed.api.errors import ApiError, unsupported

SERVICES = ("sts", "iam", "ssm", "logs", "ecr", "kms", "s3", "secretsmanager")
EC2 = frozenset(
    {
        "CreateKeyPair",
        "CreateLaunchTemplate",
        "CreateLaunchTemplateVersion",
        "DeleteKeyPair",
        "DeleteLaunchTemplate",
        "DeregisterImage",
        "DescribeImageAttribute",
        "DescribeImages",
        "DescribeInstanceTypes",
        "DescribeKeyPairs",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeSnapshots",
        "DescribeVolumes",
        "GetEbsEncryptionByDefault",
        "ImportKeyPair",
        "ModifyImageAttribute",
        "RegisterImage",
    }
)


def is_moved(service: str, operation: str) -> bool:
    """Whether moto carries an operation out."""
    return service in SERVICES or (service == "ec2" and operation in EC2)


class Elsewhere:
    """moto's backends, empty at first, for one account and Region; they end with the process."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._lock = threading.Lock()
        self._mock: Any = None
        self._clients: dict[str, Any] = {}

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation; ApiError as its service answers it."""
        from botocore import xform_name  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        with self._lock:
            client = self._client(service)
            try:
                result = getattr(client, xform_name(operation))(**parameters)
            except ClientError as error:
                said = error.response.get("Error", {})
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
                code, text = said.get("Code", "InternalError"), said.get("Message", "")
                raise ApiError(code, text, status) from None
            except BotoCoreError as error:
                raise ApiError("InvalidParameterValue", str(error)) from None
            except NotImplementedError:
                raise unsupported(service, operation) from None
        result.pop("ResponseMetadata", None)
        return {
            key: value.read() if hasattr(value, "read") else value for key, value in result.items()
        }

    def _client(self, service: str) -> Any:
        """Return a client that never leaves this process."""
        import boto3  # noqa: PLC0415 - moto takes a second to import, and few calls need it
        from moto import mock_aws  # noqa: PLC0415

        if self._mock is None:
            self._mock = mock_aws()
            self._mock.start()
        if service not in self._clients:
            keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
            self._clients[service] = boto3.client(
                service,
                region_name=self._region,
                endpoint_url=f"https://{service}.{self._region}.amazonaws.com",
                **keys,
            )
        return self._clients[service]
