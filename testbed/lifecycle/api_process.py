"""The process that serves AWS's API of a testbed: where it listens, and starting one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from testbed.control.protocol import testbed_directory
from testbed.errors import HostError, UsageError

REGISTERED = "api.json"  # in the testbed's directory: where its endpoint listens
LOG = "api.log"  # what a process started by `start` prints
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTBED000000000",
    "AWS_SECRET_ACCESS_KEY": "testbed-takes-any-secret-access-key-at-all",
}


def register(name: str, about: dict[str, Any]) -> Path:
    """Say where a testbed's API is served: `url`, `region`, `ca` (a file) or None."""
    place = testbed_directory(name) / REGISTERED
    place.write_text(json.dumps(about | {"pid": os.getpid()}))
    return place


def registered(name: str) -> dict[str, Any]:
    """Return where a testbed's API is served. Raises UsageError where it is not."""
    try:
        about: dict[str, Any] = json.loads((testbed_directory(name) / REGISTERED).read_text())
        os.kill(about["pid"], 0)
    except (OSError, ValueError):
        hint = f"start it: testbed api -n {name} &"
        raise UsageError(f"no API is served for the testbed {name}", hint=hint) from None
    return about


def environment(about: dict[str, Any]) -> dict[str, str]:
    """Return the variables that lead AWS's clients to an API."""
    variables = {
        "AWS_ENDPOINT_URL": about["url"],
        "AWS_REGION": about["region"],
        "AWS_DEFAULT_REGION": about["region"],
        **KEYS,
    }
    return variables | ({"AWS_CA_BUNDLE": about["ca"]} if about.get("ca") else {})


def start(name: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Serve a testbed's API by a process of its own; that and the URL once it answers.

    `options` are those of `testbed api`. The process ends with the testbed. Raises HostError where
    it ends at once.
    """
    argv = [sys.executable, "-m", "testbed", "api", "-n", name, *options]
    log = testbed_directory(name) / LOG
    with log.open("w") as errors:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout
    line = process.stdout.readline()
    if " at http" not in line:
        process.wait()
        said = log.read_text().strip()
        raise HostError(f"the API of {name} could not be served: {said or 'it ended'}")
    return process, line.split()[-1]
