"""Rulesets by libnftables: our own in this process, a user's in a child; no `nft` is run."""

from __future__ import annotations

import contextlib
import ctypes
import re
from functools import cache

from testbed.errors import HostError
from testbed.kernel import rulesets
from testbed.kernel.confined import ExceededError, confined

_LIBRARY = "libnftables.so.1"
_OUTPUT_HANDLES = 1 << 3
_FILE = "ruleset"
_PLACE = re.compile(rf"(?:In file included from[^\n]*\n)?/{_FILE}:(\d+):(\d+)(?:-\d+)?")
# nft's error, then the line that it is about: what is to be changed there does not exist.
_ABSENT = re.compile(
    r"No such file or directory[^\n]*\n\s*"
    r"(add|create|delete|destroy|flush|insert|rename|replace|reset)\b"
)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise HostError(
            f"cannot load {_LIBRARY}: {error}", hint="apt-get install libnftables1"
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
    library.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
    return library


def run(commands: str, *, handles: bool = False, dry: bool = False) -> str:
    """Carry out nft commands in the thread's network namespace, all or none; their output.

    A `dry` run changes nothing. With `handles` what is listed has the kernel's
    numbers. Raises ValueError with nft's own text.
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
        library.nft_ctx_set_dry_run(context, dry)
        failed = library.nft_run_cmd_from_buffer(context, commands.encode())
        if failed:
            raise ValueError((library.nft_ctx_get_error_buffer(context) or b"").decode().strip())
        return (library.nft_ctx_get_output_buffer(context) or b"").decode()
    finally:
        library.nft_ctx_free(context)


def replace(node: str, ruleset: str, before: str = "") -> None:
    """Make `ruleset` the whole ruleset of the thread's namespace, atomically.

    Where the one `before` it is given, what does not differ keeps its state. Raises HostError
    with nft's text.
    """
    if before and (differing := rulesets.commands(before, ruleset)) is not None:
        with contextlib.suppress(ValueError):  # somebody has changed it meanwhile
            run(differing)
            return
    try:
        run(f"flush ruleset\n{ruleset}\n")
    except ValueError as error:
        raise _refused(node, str(error)) from error


def replace_apart(node: str, ruleset: str, *, dry: bool = False) -> None:
    """Do what `replace` does with a ruleset that a user has written, in a confined child.

    A `dry` run changes nothing. Raises HostError, also when it takes too much.
    """
    _library()  # from where the child could not load it

    def load() -> bytes:
        try:
            run(f'flush ruleset\ninclude "/{_FILE}"\n', dry=dry)
        except ValueError as error:
            return str(error).encode()
        return b""

    try:
        said = confined(load, {_FILE: f"{ruleset}\n"}).decode(errors="replace")
    except ExceededError as error:
        raise HostError(f"{node}: its ruleset {error}: it was not loaded") from None
    if said:
        raise _refused(node, _PLACE.sub(r"line \1, column \2", said))


def _refused(node: str, text: str) -> HostError:
    hint = None
    if _ABSENT.search(text):
        hint = "it names something that is not defined above: a ruleset starts empty"
    elif "Operation not supported" in text or "No such file" in text:
        hint = "the kernel lacks a part of nftables: see `testbed doctor`"
    return HostError(f"{node}: nftables: {text}", hint=hint)
