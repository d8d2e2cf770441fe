"""The files of a node, those among them that are written of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.plan import bird, frr

if TYPE_CHECKING:
    from testbed.plan.model import Node


def files_of(node: Node) -> dict[str, str]:
    """Return all files of a node, name to text; its BGP router's configuration is one."""
    router = node.router
    if router is None:
        return node.files
    if router.daemon == "bird":
        return {**node.files, bird.FILE: bird.render(router, node.title)}
    return {**node.files, frr.FILE: frr.render(router, node.name, node.title)}
