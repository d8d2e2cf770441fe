"""A support bundle: everything that is needed to see why a testbed is as it is, in one file.

The parts are gathered side by side, with one process in each node. What cannot
be had does not keep the rest away: the bundle's errors.txt says what and why.
"""

from __future__ import annotations

import io
import json
import platform
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import __version__
from testbed.control import console
from testbed.errors import HostError, TestbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.control.client import Client

    Part = Callable[[], bytes | str | Mapping[str, Any]]

SIDE_BY_SIDE = 8
TIMEOUT_S = 30.0
# ip(8) answers each with a JSON array.
IP_COMMANDS = {
    "links": "link show",
    "addresses": "address show",
    "routes": "route show table all",
    "rules": "rule show",
    "neighbours": "neighbour show",
}
DAEMON_COMMANDS = {
    "bird": ("show status", "show protocols all", "show route all table all"),
    "bgpd": (
        "show bgp vrf all summary",
        "show bgp vrf all ipv4 unicast",
        "show bgp vrf all neighbors",
    ),
    "zebra": ("show ip route vrf all",),
}


def write(client: Client, path: Path, extra: Mapping[str, bytes] | None = None) -> dict[str, str]:
    """Write the bundle of a testbed to `path` (.tar.gz); `extra` are more files for it.

    Returns what could not be had, with the reason, by part. Raises HostError
    when the file cannot be written.
    """
    parts, errors = gather(client)
    files = {**parts, **(extra or {})}
    if errors:
        text = "".join(f"{part}: {reason}\n" for part, reason in sorted(errors.items()))
        files["errors.txt"] = text.encode()
    folder = path.name.removesuffix(".tar.gz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz", compresslevel=3) as archive:
            for name in sorted(files):
                entry = tarfile.TarInfo(f"{folder}/{name}")
                entry.size, entry.mtime = len(files[name]), int(time.time())
                archive.addfile(entry, io.BytesIO(files[name]))
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror or error}") from error
    return errors


def gather(client: Client) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of a bundle by name, and what could not be had."""
    started = time.monotonic()
    parts: dict[str, Part] = {
        "status.json": client.status,
        "events.json": lambda: {"events": client.events()},
        "console.log": lambda: console.Reader(client.name).read(),
        "document.json": client.document,
    }
    errors: dict[str, str] = {}
    files: dict[str, bytes] = {}
    running: dict[str, Any] = {"plan": {"nodes": []}}
    try:
        running = client.plan_json()
        files["plan.json"] = _bytes(running)
        for name, state in client.observe().items():
            if ruleset := state.pop("nftables"):
                files[f"nodes/{name}/ruleset.nft"] = ruleset.encode()
            files[f"nodes/{name}/state.json"] = _bytes(state)
    except (TestbedError, OSError) as error:
        errors["plan.json"] = str(error)
    for node in running["plan"]["nodes"]:
        parts |= _node_parts(client, node)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for name, result in zip(parts, pool.map(_attempt, parts.values()), strict=True):
            if isinstance(result, Exception):
                errors[name] = str(result)
            elif result:
                files[name] = result
    files["about.json"] = _bytes(_about(client, time.monotonic() - started))
    return files, errors


def _attempt(part: Part) -> bytes | Exception:
    try:
        return _bytes(part())
    except (TestbedError, OSError, ValueError, KeyError) as error:
        return error


def _bytes(data: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    return json.dumps(data, indent=1, ensure_ascii=False).encode()


def _node_parts(client: Client, node: Mapping[str, Any]) -> dict[str, Part]:
    """What is asked of one node."""
    name: str = node["name"]
    parts: dict[str, Part] = {f"nodes/{name}/ip.json": lambda: ip_state(client, name)}
    for process in node.get("processes") or ():
        daemon: str = process["name"]

        def log(daemon: str = daemon) -> bytes:
            return b"".join(client.logs(name, daemon))

        parts[f"nodes/{name}/{daemon}.log"] = log
        if daemon in DAEMON_COMMANDS:

            def said(daemon: str = daemon) -> str:
                commands = DAEMON_COMMANDS[daemon]
                replies = client.ask(name, daemon, commands)
                pairs = zip(commands, replies, strict=True)
                return "\n".join(f"# {command}\n{reply}\n" for command, reply in pairs)

            parts[f"nodes/{name}/{daemon}.txt"] = said
    return parts


def ip_state(client: Client, node: str) -> dict[str, Any]:
    """What ip(8) shows of a node: links with statistics, addresses, routes, rules, neighbours."""
    argv = ["ip", "-json", "-details", "-statistics", "-batch", "-"]
    commands = "".join(f"{command}\n" for command in IP_COMMANDS.values())
    done = client.run(node, argv, input=commands.encode(), timeout=TIMEOUT_S)
    arrays = list(arrays_of(done.text))
    if done.returncode or len(arrays) != len(IP_COMMANDS):
        said = done.stderr.decode(errors="replace").strip()
        raise HostError(f"ip in {node}: {said or f'exit status {done.returncode}'}")
    return dict(zip(IP_COMMANDS, arrays, strict=True))


def arrays_of(text: str) -> list[Any]:
    """The JSON values that follow each other in a text."""
    decoder, values, position = json.JSONDecoder(), [], 0
    while (rest := text[position:].lstrip()) != "":
        value, end = decoder.raw_decode(rest)
        position = len(text) - len(rest) + end
        values.append(value)
    return values


def _about(client: Client, took_s: float) -> dict[str, Any]:
    try:
        hello = client.hello(TIMEOUT_S)
    except (TestbedError, OSError) as error:
        hello = {"error": str(error)}
    return {
        "testbed": client.name,
        "version": __version__,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "gathered_in_s": round(took_s, 2),
        "python": platform.python_version(),
        "system": platform.platform(),
        "keeper": hello,
    }
