"""What an ordinary user may do here: namespaces of one's own, and what forbids them."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps ordinary users from making namespaces, and its remedy."""

    problem: str
    remedy: str


def map_user(uid: int, gid: int, *, as_root: bool) -> None:
    """Be somebody in the user namespace just made: the same user as outside, or root.

    `uid` and `gid` are those outside. One user and one group is all that a
    process without privilege may map (user_namespaces(7)); giving up its
    supplementary groups must be forbidden before. OSError when refused.
    """
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{0 if as_root else uid} {uid} 1")
    (own / "gid_map").write_text(f"{0 if as_root else gid} {gid} 1")


def maps_everybody() -> bool:
    """Whether this process's user namespace has more users than one, so that daemons can be them.

    True for root of the machine, and of a container.
    """
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:  # a kernel without user namespaces
        return True
    return sum(int(line.split()[2]) for line in lines) > 1


def can_be_root() -> bool:
    """Whether this user is root, or can be in a user namespace; tried in a child."""
    if os.geteuid() == 0:
        return True
    child = os.fork()
    if child == 0:
        code = 1
        try:
            user, group = os.geteuid(), os.getegid()
            if ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
                map_user(user, group, as_root=True)
                code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def obstacles(*, root: bool) -> list[Obstacle]:
    """List what may keep root, or an ordinary user, from making a testbed's namespaces.

    Sources: user_namespaces(7) and namespaces(7) for the limit; Debian's and
    Ubuntu's kernels add the other two settings:
    https://discourse.ubuntu.com/t/spec-unprivileged-user-namespace-restrictions-via-apparmor-in-ubuntu-23-10/37626
    """
    found = [] if root else _settings()
    if _seccomp_filters():
        found.append(
            Obstacle(
                "a seccomp filter is active, as in containers; it may refuse namespaces",
                "docker run --privileged"
                if root
                else "docker run --security-opt seccomp=unconfined",
            )
        )
    if masked := masked_proc():
        found.append(
            Obstacle(
                f"parts of /proc are masked, as in containers ({', '.join(masked[:3])}): "
                "a testbed cannot mount its own /proc",
                "docker run --security-opt systempaths=unconfined",
            )
        )
    return found


def _settings() -> list[Obstacle]:
    """List the settings that forbid ordinary users to make user namespaces."""
    if not (PROC / "self/ns/user").exists():
        return [Obstacle("this kernel has no user namespaces", "use a kernel with CONFIG_USER_NS")]
    found = []
    if _setting("kernel/unprivileged_userns_clone") == 0:
        found.append(_sysctl("kernel.unprivileged_userns_clone", "0", "1"))
    if _setting("user/max_user_namespaces") == 0:
        found.append(_sysctl("user.max_user_namespaces", "0", "16384"))
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == 1:
        found.append(
            Obstacle(
                "AppArmor gives user namespaces no rights "
                "(kernel.apparmor_restrict_unprivileged_userns is 1, as in Ubuntu 24.04)",
                "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
            )
        )
    return found


def devices() -> list[Obstacle]:
    """List the devices that are missing or closed to us, and that something would use."""
    wanted = {
        "/dev/ptmx": ("shells have no terminal", "mount devpts with ptmxmode=666"),
        "/dev/net/tun": (
            "no tap device can be attached to a testbed",
            "docker run --device /dev/net/tun, or sudo chmod 666 /dev/net/tun",
        ),
    }
    found = [
        Obstacle(f"{path} cannot be opened: {effect}", remedy)
        for path, (effect, remedy) in wanted.items()
        if not os.access(path, os.R_OK | os.W_OK)
    ]
    if Path("/dev/kvm").exists() and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG kvm USER, then log in again"
        found.append(Obstacle("this user may not use /dev/kvm: QEMU emulates, slowly", remedy))
    return found


def masked_proc() -> list[str]:
    """List what is mounted over parts of /proc: the kernel then refuses to mount a new one."""
    try:
        lines = (PROC / "self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    points = (line.split()[4] for line in lines)
    allowed = "/proc/sys/fs/binfmt_misc"  # empty below it, which the kernel lets pass
    return sorted({p for p in points if p.startswith("/proc/") and p != allowed})


def _setting(name: str) -> int | None:
    try:
        return int((PROC / "sys" / name).read_text())
    except (OSError, ValueError):
        return None


def _sysctl(name: str, value: str, wanted: str) -> Obstacle:
    return Obstacle(f"{name} is {value}", f"sudo sysctl {name}={wanted}")


def _seccomp_filters() -> bool:
    try:
        status = (PROC / "self/status").read_text()
    except OSError:
        return False
    return "\nSeccomp:\t2" in status
