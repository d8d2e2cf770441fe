"""Configurations of their own for a healthy site's devices: not as they are generated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.files import files_of

if TYPE_CHECKING:
    from sites.healthy import Draft


def configurations(data: dict[str, Any], folder: Path, draft: Draft) -> dict[str, str]:
    """The text of each file that a device names; `data` is the site without them."""
    path = folder / "generated.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    plan = lower_topology(load_topology(path, {}))
    path.unlink()
    found = {}
    for name in draft.own:
        frr = draft.site["devices"][name]["daemon"] == "frr"
        text = files_of(plan.node(name))["bgpd.conf" if frr else "bird.conf"]
        found[f"{name}.conf"] = _frr(text) if frr else _bird(text)
    return found


def _bird(text: str) -> str:
    """Other names of protocols, other timers, graceful restart's helper off."""
    text = re.sub(r"^protocol bgp (\w+)", r"protocol bgp up_\1", text, flags=re.MULTILINE)
    text = text.replace(
        "hold time 90;\n  keepalive time 30;", "hold time 60;\n  keepalive time 20;"
    )
    return f"# written by hand\n{text}"


def _frr(text: str) -> str:
    """Other timers, and a second instance's lines in another order of words."""
    text = re.sub(r"timers bgp \d+ \d+", "timers bgp 20 60", text)
    return f"! written by hand\n{text}"
