"""`testbed-unheard`: keeps path MTUs that are about one kind of packet from its node's kernel.

``testbed-unheard NUMBER`` drops ICMP errors "fragmentation needed" about IP packets with that
number (their identification), says "ready", and goes on until standard input ends. The kernel
takes the rules away with this process, however that ends.
"""

from __future__ import annotations

import ctypes
import sys

RULES = """\
table ip testbed-unheard-{number} {{
  flags owner
  chain prerouting {{
    type filter hook prerouting priority -450; policy accept;
    icmp type destination-unreachable icmp code 4 @th,96,16 {number} drop
  }}
}}
"""


def main(argv: list[str]) -> None:
    """Load the rules, and keep them until the end of standard input."""
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    context = library.nft_ctx_new(0)
    rules = RULES.format(number=int(argv[0]))
    if library.nft_run_cmd_from_buffer(context, rules.encode()):
        sys.exit("no rules")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
