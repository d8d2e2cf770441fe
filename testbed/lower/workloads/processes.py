"""What users run in instances: processes with a root of their own."""

from __future__ import annotations

from collections.abc import Iterable

from testbed.lower.builder import Draft, NodeDraft
from testbed.plan.checks import ListenCheck
from testbed.plan.container import Container, Limits, Mount
from testbed.plan.model import Process
from testbed.topology.model import InstanceProcess


def add_processes(draft: Draft, node: NodeDraft, processes: Iterable[InstanceProcess]) -> None:
    """Have the node run `processes`, and wait for those that have to listen."""
    for process in processes:
        node.processes.append(
            Process(
                process.name,
                process.command,
                env=dict(process.environment),
                container=_container(process),
                restart=process.restart,
            )
        )
        for protocol, port in process.listens:
            title = f"{node.name} {process.name} on {protocol} port {port}"
            draft.checks.append(ListenCheck(node.name, protocol, port, title))


def _container(process: InstanceProcess) -> Container:
    return Container(
        image=process.image,
        user=process.user,
        directory=process.working_directory,
        mounts=tuple(Mount(m.target, m.source, m.read_only) for m in process.mounts),
        network="none" if process.network == "none" else "node",
        limits=Limits(
            memory_mib=process.memory_mib,
            processors=process.processors,
            processes=process.max_processes,
            open_files=process.max_open_files,
        ),
        read_only=process.read_only,
        capabilities=process.capabilities,
    )
