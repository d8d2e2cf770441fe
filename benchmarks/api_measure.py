"""How many calls a second AWS's API of a testbed answers: those that change it, others that look.

Run as benchmarks/api [--seconds N] [--clients N]. A call that changes something is a security
group's rule that comes or goes, in a group that an instance has: the answer comes once it is in
the kernel's ruleset. Beside calls by wall time stands the processor's time that the endpoint's
process took for each, which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from testbed.lifecycle.api_process import KEYS, registered, start

NAME = "benchmark-api"
TOPOLOGY = Path(__file__).resolve().parents[1] / "topologies" / "two-racks.yaml"
AIMS = {"changes": 30.0, "looks": 300.0}


def main() -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    testbed("up", str(TOPOLOGY), "-n", NAME)
    try:
        process, url = start(NAME, "--listen", "127.0.0.1:0")
        try:
            rows = measure(url, options.seconds, options.clients)
        finally:
            process.terminate()
            process.communicate()
    finally:
        testbed("down", NAME)
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for kind, row in rows.items():
        text = f"{row['per_second']:7.1f} calls/s (aim {AIMS[kind]:.0f})"
        print(f"{kind:<8} {row['clients']:2} clients {text}  {row['cpu_ms']:6.2f} ms CPU a call")
    return 0


def testbed(*words: str) -> None:
    """Run the command `testbed`."""
    argv = [sys.executable, "-m", "testbed", *words]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def client(url: str) -> Any:
    """A client of EC2."""
    return botocore.session.get_session().create_client(
        "ec2",
        region_name="us-west-2",
        endpoint_url=url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def measure(url: str, seconds: float, clients: int) -> dict[str, dict[str, float]]:
    """Measure both kinds of calls. Returns rows by kind."""
    ec2 = client(url)
    [instance] = ec2.describe_instances()["Reservations"][0]["Instances"]
    group = ec2.create_security_group(
        GroupName="bench", Description="bench", VpcId=instance["VpcId"]
    )
    ec2.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=[group["GroupId"]])

    def change(number: int, turn: int) -> None:
        port = 10_000 + 1000 * number + turn // 2 % 1000
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "192.0.2.0/24"}
        verb = "revoke" if turn % 2 else "authorize"
        getattr(clients_[number], f"{verb}_security_group_ingress")(
            GroupId=group["GroupId"], **rule
        )

    def look(number: int, _: int) -> None:
        clients_[number].describe_instances()

    clients_ = [client(url) for _ in range(clients)]
    look(0, 0)
    return {"changes": rate(change, seconds, clients), "looks": rate(look, seconds, clients)}


def rate(call: Callable[[int, int], None], seconds: float, clients: int) -> dict[str, float]:
    """Make calls from several clients for a while. Returns calls a second, and ms of CPU each."""
    counts, errors = [0] * clients, []
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        try:
            while time.monotonic() < end or counts[number] % 2:
                call(number, counts[number])
                counts[number] += 1
        except Exception as error:
            errors.append(error)
            raise

    began, cpu = time.monotonic(), processor_s()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    took, spent, calls = time.monotonic() - began, processor_s() - cpu, sum(counts)
    return {"clients": clients, "per_second": calls / took, "cpu_ms": spent / calls * 1000}


def processor_s() -> float:
    """Return the seconds of processor time that the endpoint's process has taken."""
    fields = Path(f"/proc/{registered(NAME)['pid']}/stat").read_text().rpartition(")")[2].split()
    ticks: int = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks
