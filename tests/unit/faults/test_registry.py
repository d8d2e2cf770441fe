"""A kind of fault is one entry: its form, command, units and documentation are made from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
NEW_KIND = """
import json, sys
sys.path.insert(0, "scripts")
from testbed.faults.registry import kind
from testbed.faults.values import Parameter

@kind(
    "cosmic-rays",
    "bits of what a node sends flip",
    "node",
    parameters=(Parameter("flux", "percent", "the share of packets that are hit", required=True),),
)
def cosmic_rays(edit, target, fault):
    edit.change(target.node, title=f"hit by {fault.values['flux']:g}%")

from click.testing import CliRunner
import documents
from testbed.cli import cli
from testbed.faults import catalog
from testbed.plan.model import Node, Plan
from testbed.plan.roles import Role
from testbed.render.faults import values_text
from testbed.topology.schema import TopologyForm, json_schema

fault = catalog.make("cosmic-rays", "a", {"flux": "2%"})
broken = catalog.compose(Plan("p", (Node("a", Role.HOST, "site"),)), [fault])
listed = CliRunner().invoke(cli, ["fault", "--list", "--json"])
helped = CliRunner().invoke(cli, ["fault", "cosmic-rays", "--help"])
print(json.dumps({
    "title": broken.node("a").title,
    "form": json_schema()["$defs"]["FaultForm"]["properties"]["flux"]["description"],
    "listed": [row["parameters"] for row in json.loads(listed.output) if "cosmic" in row["kind"]],
    "help": helped.output,
    "values": values_text({"kind": fault.kind, "values": fault.values}),
    "docs": [line for line in documents.fault_kinds().splitlines() if "cosmic" in line],
    "keys": [line for line in documents.fault_parameters().splitlines() if "flux" in line],
}))
"""


def test_a_new_kind_is_one_entry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEW_KIND], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["title"] == "hit by 2%"
    assert found["form"] == "cosmic-rays: the share of packets that are hit."
    assert [row["name"] for row in found["listed"][0]] == ["flux"]
    for words in ("Bits of what a node sends flip.", "--flux PERCENT", "--flux 1%", "NODE"):
        assert words in found["help"]
    assert found["values"] == "--flux 2%"
    assert found["docs"] == [
        "| `cosmic-rays` | `NODE` | `--flux PERCENT` | bits of what a node sends flip |"
    ]
    assert found["keys"] == ["| `flux` | cosmic-rays: the share of packets that are hit. |"]
