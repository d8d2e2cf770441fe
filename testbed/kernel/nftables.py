"""Rulesets by libnftables, in this process: no `nft` is run."""

from __future__ import annotations

import ctypes
from functools import cache

from testbed.errors import HostError

_LIBRARY = "libnftables.so.1"
_OUTPUT_HANDLES = 1 << 3


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise HostError(
            f"can't load {_LIBRARY}: {error}", hint="apt-get install libnftables1"
        ) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("output", "error"):
        getattr(library, f"nft_ctx_buffer_{name}").argtypes = [ctypes.c_void_p]
        get = getattr(library, f"nft_ctx_get_{name}_buffer")
        get.argtypes = [ctypes.c_void_p]
        get.restype = ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    return library


def run(commands: str, *, handles: bool = False) -> str:
    """Carry out nft commands in the thread's network namespace, all or none; their output.

    With `handles` what is listed has the kernel's numbers. Raises ValueError with nft's own text.
    """
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise HostError("libnftables: no memory for a context")
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if handles:
            library.nft_ctx_output_set_flags(context, _OUTPUT_HANDLES)
        failed = library.nft_run_cmd_from_buffer(context, commands.encode())
        if failed:
            raise ValueError((library.nft_ctx_get_error_buffer(context) or b"").decode().strip())
        return (library.nft_ctx_get_output_buffer(context) or b"").decode()
    finally:
        library.nft_ctx_free(context)


def replace(node: str, ruleset: str) -> None:
    """Make `ruleset` the whole ruleset of the thread's namespace, atomically.

    Raises HostError with nft's text.
    """
    try:
        run(f"flush ruleset\n{ruleset}\n")
    except ValueError as error:
        hint = None
        if "Operation not supported" in str(error) or "No such file" in str(error):
            hint = "the kernel lacks a part of nftables: see `testbed doctor`"
        raise HostError(f"{node}: nftables: {error}", hint=hint) from error
