"""`testbed api`."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import choose_name, echo_json, json_option, name_option, verb
from testbed.errors import EXIT_NETWORK, HostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "127.0.0.1:4566"
LOOPBACK = ("127.", "::1", "localhost")


@verb(
    "api",
    "testbed api &\n"
    'eval "$(testbed api env)"\n'
    "aws ec2 describe-local-gateways\n"
    "testbed api log\n"
    "testbed api --new --record calls.jsonl &\n"
    "testbed api replay calls.jsonl\n"
    "testbed api coverage",
)
@click.argument(
    "action",
    type=click.Choice(["serve", "env", "log", "replay", "coverage"]),
    default="serve",
    required=False,
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
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
    "--tls",
    is_flag=True,
    help="Serve HTTPS, with a certificate of the testbed's own authority (env has AWS_CA_BUNDLE).",
)
@click.option(
    "--new",
    is_flag=True,
    help="Begin with the hardware alone: take away VPCs, instances and what else is created.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append a line of JSON for each call to this file, too.",
)
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    action: str,
    file: Path | None,
    listen: str,
    strict_timing: bool,
    tls: bool,
    new: bool,
    record: Path | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Serve AWS's own API over a running testbed, for aws, boto3, Terraform and others.

    What they create, packets meet. Without ACTION it serves until the testbed ends or you
    stop it; env prints the shell variables that lead AWS's clients to it, log the calls so
    far, replay makes the calls of FILE again and compares how they end, coverage which operations
    there are. Anybody who can connect may change the testbed:
    it listens on this host only, unless told otherwise.
    """
    if action == "coverage":
        _coverage(as_json=as_json)
    elif action == "env":
        _env(choose_name(name), as_json=as_json)
    elif action == "log":
        _log(choose_name(name), as_json=as_json)
    elif action == "replay":
        _replay(context, choose_name(name), file, as_json=as_json)
    else:
        if new:
            _empty(choose_name(name))
        _serve(choose_name(name), listen, record, strict=strict_timing, tls=tls)


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


def _serve(name: str, listen: str, record: Path | None, *, strict: bool, tls: bool) -> None:
    host, port = _address(listen)
    with _needing_extra():
        from testbed.api import server  # noqa: PLC0415
        from testbed.api.certificates import Authority  # noqa: PLC0415
        from testbed.api.endpoint import Endpoint  # noqa: PLC0415
        from testbed.api.inside import Inside  # noqa: PLC0415
        from testbed.api.log import CallLog  # noqa: PLC0415
    from testbed.cli.failures import warn  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.control.protocol import testbed_directory  # noqa: PLC0415
    from testbed.lifecycle.api_process import register  # noqa: PLC0415

    client = Client.connect(name)
    if not host.startswith(LOOPBACK):
        warn(f"anybody who reaches {host} can change the testbed {name}: calls are not checked")
    sock = server.listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http{'s' if tls else ''}://{shown}:{sock.getsockname()[1]}"
    authority = Authority(testbed_directory(name), name)
    files = authority.issue_files([host, "localhost"], "api") if tls else None
    endpoint = Endpoint(client, strict=strict, log=CallLog(name, record))
    inside = Inside(client, endpoint, authority)
    place: Path | None = None

    def started() -> None:
        nonlocal place
        ca = str(authority.file) if tls else None
        place = register(name, {"url": url, "region": endpoint.region, "ca": ca})
        click.echo(f"{name}: AWS's API at {url}")
        sys.stdout.flush()

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(endpoint, sock, certificate=files, on_started=started)
    finally:
        inside.close()
        endpoint.close()
        if place is not None:
            with contextlib.suppress(OSError):
                place.unlink()


def _empty(name: str) -> None:
    """Leave of a testbed the hardware alone."""
    from testbed.api.hardware import hardware_alone  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.lifecycle.live import edit  # noqa: PLC0415

    edit(Client.connect(name), hardware_alone)


def _env(name: str, *, as_json: bool) -> None:
    from testbed.lifecycle.api_process import environment, registered  # noqa: PLC0415

    variables = environment(registered(name))
    if as_json:
        echo_json(variables)
        return
    for key, value in variables.items():
        click.echo(f"export {key}={shlex.quote(value)}")


def _replay(context: click.Context, name: str, file: Path | None, *, as_json: bool) -> None:
    if file is None:
        hint = "name a file that testbed api --record has written"
        raise UsageError("replay needs a FILE", hint=hint)
    with _needing_extra():
        from testbed.api.replay import replay  # noqa: PLC0415
    from testbed.lifecycle.api_process import registered  # noqa: PLC0415

    about = registered(name)
    different = 0
    for call in replay(about["url"], about["region"], file, about["ca"]):
        different += not call.same
        if as_json:
            click.echo(json.dumps(asdict(call)))
            continue
        how = call.now or "ok"
        was = "" if call.same else f"  (it was {call.then or 'ok'})"
        click.echo(f"{call.service}:{call.operation:<48} {how}{was}")
    if different:
        context.exit(EXIT_NETWORK)


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
