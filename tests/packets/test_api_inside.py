"""AWS's API from inside a testbed: an instance on the rack and a host of the office use it.

desk -- cnd1, cnd2 == op -- web ; web -- service link -- region.vpce-… -- region.api
desk -- cnd1 -- region.edge -- region.api
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from api_clients import KEYS

from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.timeout(300),
    pytest.mark.topology(Path(__file__).parent / "api-inside.yaml"),
    pytest.mark.testbed(time="real"),  # requests are answered outside, where no time is virtual
]
QUICKLY = ("--cli-connect-timeout", "4", "--cli-read-timeout", "60")
OWN = {
    **KEYS,
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_PAGER": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CA_BUNDLE": "/run/node/region.api/ca.pem",
    "HOME": "/tmp",
}
UNTRUSTING = {key: value for key, value in OWN.items() if key != "AWS_CA_BUNDLE"}


def aws(testbed: Testbed, node: str, *words: str, trusting: bool = True) -> tuple[int, str]:
    """What AWS's command line ends with and prints in a node."""
    argv = [sys.executable, "-m", "awscli", *words, "--output", "json", *QUICKLY]
    done = testbed.client.run(node, argv, env=OWN if trusting else UNTRUSTING, timeout=120)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_an_instance_uses_awss_api_through_the_service_link_alone(
    testbed: Testbed, api_url: str
) -> None:
    assert api_url
    code, text = aws(testbed, "web", "ec2", "describe-vpcs")
    assert code == 0, text
    assert [vpc["CidrBlock"] for vpc in json.loads(text)["Vpcs"]] == ["10.77.0.0/16"]
    tags = ("--tag-specifications", "ResourceType=vpc,Tags=[{Key=Name,Value=made}]")
    code, text = aws(testbed, "web", "ec2", "create-vpc", "--cidr-block", "10.9.0.0/16", *tags)
    assert code == 0, text
    assert "region.vpc-made" in {row["name"] for row in testbed.client.status()["nodes"]}
    code, text = aws(testbed, "web", "ec2", "describe-vpcs", trusting=False)
    assert code != 0  # nobody but the testbed's own authority vouches for the endpoint
    assert "CERTIFICATE_VERIFY_FAILED" in text or "SSL" in text
    code, text = aws(testbed, "desk", "ec2", "describe-vpcs")
    assert code == 0, text
    assert len(json.loads(text)["Vpcs"]) == 2
    with testbed.fault("service-link-cut", "op"):
        code, text = aws(testbed, "web", "ec2", "describe-vpcs")
        assert code != 0, text
        code, text = aws(testbed, "desk", "ec2", "describe-vpcs")
        assert code == 0, text
    testbed.eventually(lambda: aws(testbed, "web", "ec2", "describe-vpcs")[0] == 0, 60)
