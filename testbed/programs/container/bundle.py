"""What crun is told of a process: the configuration of an OCI runtime bundle.

https://github.com/opencontainers/runtime-spec: config.md and config-linux.md. What is left
open there is as Docker has it (docs.docker.com/engine/containers/run).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

VERSION = "1.0.2"
PERIOD_US = 100_000
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = {  # Docker's default set, by their numbers (linux/capability.h)
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_RAW": 13,
    "CAP_SYS_CHROOT": 18,
    "CAP_MKNOD": 27,
    "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
}
MORE_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_IPC_LOCK": 14, "CAP_SYS_PTRACE": 19} | {
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
}
MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/sys/firmware")
Spec = dict[str, Any]


class UserError(Exception):
    """A user or group that the root file system does not know."""


def configuration(
    task: Spec, root: Path, image: Spec, *, allowed: int, file_systems: str, grouped: bool
) -> Spec:
    """Return the configuration of a process in `root`, whose image says `image` of it.

    `task` is what the keeper asks for: argv, env, hostname, id, resolv_conf and container.
    `allowed` are the capabilities that this process may give on, as bits; `file_systems` what
    the kernel has (/proc/filesystems); `grouped` whether there are control groups for it.
    """
    container = task["container"]
    limits = container["limits"]
    namespaces = [{"type": name} for name in ("pid", "ipc", "uts", "mount")]
    if container["network"] == "none":
        namespaces.append({"type": "network"})
    elif container["network"].startswith("/"):
        namespaces.append({"type": "network", "path": container["network"]})
    linux: Spec = {"namespaces": namespaces, "maskedPaths": list(MASKED)}
    if grouped:
        namespaces.append({"type": "cgroup"})
        linux |= {"cgroupsPath": f"/testbed/{task['id']}", "resources": _resources(limits)}
    return {
        "ociVersion": VERSION,
        "hostname": task["hostname"],
        "root": {"path": str(root), "readonly": container["read_only"]},
        "process": _process(task, root, image, allowed),
        "mounts": [*_own_mounts(file_systems, grouped=grouped), *_mounts(task)],
        "linux": linux,
    }


def _process(task: Spec, root: Path, image: Spec, allowed: int) -> Spec:
    container = task["container"]
    user = identity(container["user"], root) if container["user"] else image.get("user")
    user = user or {"uid": 0, "gid": 0}
    wanted = CAPABILITIES | {
        name: MORE_CAPABILITIES[name]
        for name in container["capabilities"]
        if name in MORE_CAPABILITIES
    }
    may = [name for name, number in wanted.items() if allowed >> number & 1]
    active = may if user["uid"] == 0 else []
    process: Spec = {
        "terminal": False,
        "user": user,
        "args": task["argv"] or image.get("args") or ["sh"],
        "cwd": container["directory"] or image.get("cwd") or "/",
        "env": _environment(image.get("env") or [], task),
        "capabilities": {"bounding": may, "effective": active, "permitted": active},
    }
    if files := container["limits"]["open_files"]:
        process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": files, "hard": files}]
    return process


def _environment(image: list[str], task: Spec) -> list[str]:
    usual = {"PATH": SEARCH_PATH, "HOSTNAME": task["hostname"]}
    own = dict(entry.partition("=")[::2] for entry in image)
    return [f"{name}={value}" for name, value in (usual | own | task["env"]).items()]


def identity(text: str, root: Path) -> Spec:
    """Return the numbers of USER[:GROUP], which may be names of the root file system's.

    Raises UserError.
    """
    name, _, group = text.partition(":")
    row = _entry(root / "etc/passwd", name)
    if row is None and not name.isdigit():
        raise UserError(f"the image has no user {name}")
    uid, gid = (int(row[2]), int(row[3])) if row else (int(name), 0)
    if group:
        found = _entry(root / "etc/group", group)
        if found is None and not group.isdigit():
            raise UserError(f"the image has no group {group}")
        gid = int(found[2]) if found else int(group)
    return {"uid": uid, "gid": gid}


def _entry(path: Path, name: str) -> list[str] | None:
    """The line of passwd(5) or group(5) that a name or number is in."""
    try:
        rows = [line.split(":") for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return None
    return next((row for row in rows if len(row) > 2 and name in (row[0], row[2])), None)


def _resources(limits: Spec) -> Spec:
    resources: Spec = {}
    if memory := limits["memory_mib"]:
        resources["memory"] = {"limit": memory << 20}
    if processes := limits["processes"]:
        resources["pids"] = {"limit": processes}
    if processors := limits["processors"]:
        resources["cpu"] = {"quota": int(processors * PERIOD_US), "period": PERIOD_US}
    return resources


def _own_mounts(file_systems: str, *, grouped: bool) -> list[Spec]:
    """What every process finds, as Docker mounts it."""
    plain = ["nosuid", "noexec", "nodev"]
    rows: list[tuple[str, str, list[str]]] = [
        ("proc", "/proc", plain),
        ("tmpfs", "/dev", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("devpts", "/dev/pts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        ("tmpfs", "/dev/shm", [*plain, "mode=1777", "size=65536k"]),  # noqa: S108
        ("sysfs", "/sys", [*plain, "ro"]),
    ]
    if "\tmqueue\n" in file_systems:
        rows.append(("mqueue", "/dev/mqueue", plain))
    if grouped:
        rows.append(("cgroup", "/sys/fs/cgroup", [*plain, "ro", "relatime"]))
    return [
        {"type": kind, "source": kind, "destination": place, "options": options}
        for kind, place, options in rows
    ]


def _mounts(task: Spec) -> list[Spec]:
    """What the plan mounts, and the node's own resolver."""
    rows = [
        _bound(mount["source"], mount["target"], read_only=mount["read_only"])
        if mount["source"]
        else {
            "type": "tmpfs",
            "source": "tmpfs",
            "destination": mount["target"],
            "options": ["nosuid", "nodev", "mode=1777", *["ro"] * mount["read_only"]],
        }
        for mount in task["container"]["mounts"]
    ]
    if task["resolv_conf"]:
        rows.insert(0, _bound(task["resolv_conf"], "/etc/resolv.conf", read_only=True))
    return rows


def _bound(source: str, target: str, *, read_only: bool) -> Spec:
    options = ["rbind", "rprivate", "ro" if read_only else "rw"]
    return {"type": "bind", "source": source, "destination": target, "options": options}
