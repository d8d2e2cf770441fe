"""`testbed api`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import choose_name, echo_json, json_option, name_option, verb
from testbed.errors import HostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "127.0.0.1:4566"
LOOPBACK = ("127.", "::1", "localhost")
REGISTERED = "api.json"  # in the testbed's directory: where its endpoint listens


@verb(
    "api",
    "testbed api &\n"
    'eval "$(testbed api env)"\n'
    "aws ec2 describe-local-gateways\n"
    "testbed api log\n"
    "testbed api coverage",
)
@click.argument(
    "action",
    type=click.Choice(["serve", "env", "log", "coverage"]),
    default="serve",
    required=False,
)
@click.option(
    "--listen",
    default=DEFAULT,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Listen there; port 0 is any that is free.",
)
@click.option(
    "--strict-timing",
    is_flag=True,
    help="Answer calls that change something only when packets follow.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append a line of JSON for each call to this file, too.",
)
@name_option()
@json_option
def command(
    *,
    action: str,
    listen: str,
    strict_timing: bool,
    record: Path | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Serve AWS's own API over a running testbed, for aws, boto3, Terraform and others.

    What they create, packets meet. Without ACTION it serves until the testbed ends or you
    stop it; env prints the shell variables that lead AWS's clients to it, log the calls so
    far, coverage which operations there are. Anybody who can connect may change the testbed:
    it listens on this host only, unless told otherwise.
    """
    if action == "coverage":
        _coverage(as_json=as_json)
    elif action == "env":
        _env(choose_name(name), as_json=as_json)
    elif action == "log":
        _log(choose_name(name), as_json=as_json)
    else:
        _serve(choose_name(name), listen, record, strict=strict_timing)


@contextlib.contextmanager
def _needing_extra() -> Iterator[None]:
    """Say what to install where the endpoint's own dependencies are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "testbed":
            raise
        hint = "pip install 'outpost-testbed[api]'"
        raise HostError(f"the API needs the package {error.name}", hint=hint) from None


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        hint = f"for example --listen {DEFAULT}, or [::1]:4566"
        raise UsageError(f"--listen {listen[:60]!r} is not ADDRESS:PORT", hint=hint)
    return host.strip("[]"), int(port)


def _serve(name: str, listen: str, record: Path | None, *, strict: bool) -> None:
    host, port = _address(listen)
    with _needing_extra():
        from testbed.api import server  # noqa: PLC0415
        from testbed.api.endpoint import Endpoint  # noqa: PLC0415
        from testbed.api.log import CallLog  # noqa: PLC0415
    from testbed.cli.failures import warn  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.control.protocol import testbed_directory  # noqa: PLC0415

    client = Client.connect(name)
    if not host.startswith(LOOPBACK):
        warn(f"anybody who reaches {host} can change the testbed {name}: calls are not checked")
    sock = server.listen(host, port)
    place = testbed_directory(name) / REGISTERED
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{sock.getsockname()[1]}"
    endpoint = Endpoint(client, strict=strict, log=CallLog(name, record))

    def started() -> None:
        about = {"url": url, "region": endpoint.region, "pid": os.getpid()}
        place.write_text(json.dumps(about))
        click.echo(f"{name}: AWS's API at {url}")
        sys.stdout.flush()

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(endpoint, sock, on_started=started)
    finally:
        endpoint.close()
        with contextlib.suppress(OSError):
            place.unlink()


def _env(name: str, *, as_json: bool) -> None:
    from testbed.control.protocol import testbed_directory  # noqa: PLC0415

    try:
        about = json.loads((testbed_directory(name) / REGISTERED).read_text())
        os.kill(about["pid"], 0)
    except (OSError, ValueError):
        hint = f"start it: testbed api -n {name} &"
        raise UsageError(f"no API is served for the testbed {name}", hint=hint) from None
    variables = {
        "AWS_ENDPOINT_URL": about["url"],
        "AWS_REGION": about["region"],
        "AWS_DEFAULT_REGION": about["region"],
        "AWS_ACCESS_KEY_ID": "AKIATESTBED000000000",
        "AWS_SECRET_ACCESS_KEY": "testbed-takes-any-secret-access-key-at-all",
    }
    if as_json:
        echo_json(variables)
        return
    for key, value in variables.items():
        click.echo(f"export {key}={value}")


def _log(name: str, *, as_json: bool) -> None:
    from testbed.api.log import entries  # noqa: PLC0415

    for entry in entries(name):
        if as_json:
            click.echo(json.dumps(entry))
        elif "operation" in entry:
            at = time.strftime("%H:%M:%S", time.localtime(entry["at"]))
            how = entry.get("error", "ok")
            what = f"{entry['service']}:{entry['operation']}"
            click.echo(f"{at}  {entry['ms']:8.1f} ms  {what:<48} {how}")
        else:
            steps = f"{entry['steps']} step{'' if entry['steps'] == 1 else 's'}"
            text = f"revision {entry['revision']}: {steps}, ready after {entry['settled_ms']} ms"
            click.echo(f"{'':<8}  {text}")


def _coverage(*, as_json: bool) -> None:
    with _needing_extra():
        from testbed.api.coverage import coverage  # noqa: PLC0415

    found: dict[str, Any] = coverage()
    if as_json:
        echo_json(found)
        return
    for service, rows in found.items():
        counts = f"{len(rows['own'])} own, {len(rows['moto'])} moto's, {len(rows['none'])} refused"
        click.echo(f"{service}: {counts}")
        for kind, text in (("own", "the testbed's own"), ("moto", "moto's")):
            if rows[kind] and (kind == "own" or service == "ec2"):
                click.echo(f"  {text}: {', '.join(rows[kind])}")
