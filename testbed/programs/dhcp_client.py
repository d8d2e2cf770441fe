"""`testbed-dhcp-client`: runs a DHCP client, and has it ask again when its link comes back.

udhcpc does not watch its link. While that is down the kernel takes the routes of the lease away,
and on most machines something else (ifplugd, systemd-networkd) sees to it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

from testbed.programs.carrier import LINKS, RUNNING, UP, flags_of

LOOK_AGAIN_S = 60.0


def main(argv: list[str]) -> None:
    """`testbed-dhcp-client INTERFACE PROGRAM ARGUMENT…`; it ends when the client ends."""
    interface, *command = argv
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
    ):
        changes.bind((0, LINKS))
        changes.settimeout(LOOK_AGAIN_S)
        client = subprocess.Popen(command)
        worked = True
        while client.poll() is None:
            flags = flags_of(control, interface)
            works = flags is not None and flags & (UP | RUNNING) == UP | RUNNING
            if works and not worked:
                client.send_signal(signal.SIGUSR1)
            worked = works
            try:
                changes.recv(65536)
            except OSError:  # nothing for a while, or more at once than the socket holds
                continue
        sys.exit(client.returncode)
