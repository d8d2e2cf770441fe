"""Processes of instances, as the file has them."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.topology.model import InstanceProcess, ProcessMount
from testbed.topology.schema import ProcessForm


def derive_processes(forms: Mapping[str, ProcessForm]) -> tuple[InstanceProcess, ...]:
    """Return an instance's processes, in the order of their names."""
    return tuple(_process(name, forms[name]) for name in sorted(forms))


def _process(name: str, form: ProcessForm) -> InstanceProcess:
    mounts = (
        ProcessMount(mount.target, mount.source or "", read_only=mount.read_only)
        for mount in form.mounts
    )
    return InstanceProcess(
        name,
        image=form.image or "",
        command=tuple(form.command),
        environment=tuple(sorted(form.environment.items())),
        user=form.user or "",
        working_directory=form.working_directory or "",
        mounts=tuple(mounts),
        network=form.network,
        capabilities=tuple(sorted(f"CAP_{name}" for name in form.capabilities)),
        memory_mib=form.memory or 0,
        processors=form.processors or 0.0,
        max_processes=form.max_processes or 0,
        max_open_files=form.max_open_files or 0,
        read_only=form.read_only,
        restart=form.restart,
        listens=tuple(form.listens),
    )
