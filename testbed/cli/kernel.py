"""`testbed kernel`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import echo_json, is_terminal, json_option, unused_name_option, verb
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.guest.uml_kernels import UmlKernel

PLAIN_STEP = 0.1  # of the progress, between two plain lines


@verb(
    "kernel",
    "testbed kernel build\ntestbed kernel build --source linux-7.2.tar.xz\ntestbed kernel list",
)
@click.argument("action", type=click.Choice(["build", "list"]))
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Build this source (a tarball or a directory) instead of the distribution's newest.",
)
@click.option("--again", is_flag=True, help="Build even if this kernel has been built before.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Number of parallel jobs [one per processor]."
)
@unused_name_option
@json_option
def command(
    *, action: str, source: Path | None, again: bool, jobs: int | None, as_json: bool
) -> None:
    """Build or list user-mode kernels, which testbeds run in if this kernel lacks features.

    A build takes a few minutes, once. An interrupted build continues where it
    stopped. Without a user-mode kernel testbeds run in QEMU, which is much slower.
    """
    if action == "list":
        if source or again or jobs:
            raise UsageError("--source, --again and --jobs need `testbed kernel build`")
        _list(as_json=as_json)
    else:
        _build(source, again=again or source is not None, jobs=jobs, as_json=as_json)


def _build(source: Path | None, *, again: bool, jobs: int | None, as_json: bool) -> None:
    from testbed.guest import kernel_build  # noqa: PLC0415

    kernel, seconds = kernel_build.current(), 0.0
    if again or kernel is None or kernel.problems():
        with _progress(quiet=as_json) as progress:
            built = kernel_build.build(source, progress, jobs=jobs)
        kernel, seconds = built.kernel, built.seconds
    if as_json:
        echo_json({"built": seconds > 0, "seconds": round(seconds, 1), **_row(kernel)})
    elif seconds:
        click.echo(f"built {kernel.version} in {seconds:.0f} s: {kernel.path}")
    else:
        click.echo(f"already built: {kernel.path}; --again builds the newest source")


def _list(*, as_json: bool) -> None:
    from testbed.guest import uml_kernels  # noqa: PLC0415

    rows = [_row(kernel) for kernel in uml_kernels.candidates()]
    used = uml_kernels.find()
    for row in rows:
        row["used"] = used is not None and row["path"] == str(used.path)
    if as_json:
        echo_json(rows)
        return
    if not rows:
        click.echo("there is no user-mode kernel here; `testbed kernel build` builds one")
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    columns = ("version", "used", "origin", "size", "path", "problems")
    lines = (
        (
            row["version"] or "?",
            "yes" if row["used"] else "",
            row["origin"],
            f"{row['bytes'] / 1e6:.1f} MB",
            row["path"],
            "; ".join(row["complaints"]),
        )
        for row in rows
    )
    console().print(rows_table("User-mode kernels", columns, lines))


def _row(kernel: UmlKernel) -> dict[str, Any]:
    return {
        "path": str(kernel.path),
        "version": kernel.version,
        "origin": kernel.origin,
        "bytes": kernel.path.stat().st_size if kernel.path.exists() else 0,
        "problems": kernel.problems(),
        "lacking": kernel.lacking() if kernel.version else [],
        "complaints": kernel.complaints(),
    }


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, float | None], None]]:
    """Show the build: a bar on a terminal, some lines elsewhere, nothing with JSON."""
    if quiet:
        yield lambda _text, _part: None
    elif is_terminal(sys.stderr):
        from rich import progress as rich  # noqa: PLC0415

        from testbed.render.console import console  # noqa: PLC0415

        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TaskProgressColumn(),
            rich.TimeElapsedColumn(),
        )
        with rich.Progress(*columns, console=console(stderr=True)) as bar:
            task = bar.add_task("", total=None)

            def show(text: str, part: float | None) -> None:
                bar.update(task, description=text, completed=part or 0, total=part and 1)

            yield show
    else:
        yield _plain()


def _plain() -> Callable[[str, float | None], None]:
    shown: tuple[str, float] = ("", 0.0)

    def show(text: str, part: float | None) -> None:
        nonlocal shown
        if text != shown[0] or (part is not None and part >= shown[1] + PLAIN_STEP):
            shown = (text, part or 0.0)
            click.echo(f"{text}: {part:.0%}" if part else text, err=True)

    return show
