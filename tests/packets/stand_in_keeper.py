"""A keeper that only echoes, for tests of the guest alone."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from testbed.control.protocol import HEADER, Frame, pack, pack_message

Request = dict[str, Any]
Result = dict[str, Any]
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Keeper:
    def __init__(self, name: str) -> None:
        self.name = name
        self.stopped = asyncio.Event()

    def abandon(self) -> None:
        self.stopped.set()

    async def wait_stopped(self) -> None:
        await self.stopped.wait()

    async def serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        _, length = HEADER.unpack(await reader.readexactly(HEADER.size))
        request = json.loads(await reader.readexactly(length))
        operation = getattr(self, "op_" + request["op"])
        result = await operation(request, reader, writer)
        writer.write(pack_message({"result": result}))
        await writer.drain()

    async def op_hello(self, request: Request, reader: Reader, writer: Writer) -> Result:
        return {"name": self.name, "pid": os.getpid(), "time": time.time()}

    async def op_stop(self, request: Request, reader: Reader, writer: Writer) -> Result:
        writer.write(pack_message({"event": "stopping"}))
        self.stopped.set()
        return {}

    async def op_echo(self, request: Request, reader: Reader, writer: Writer) -> Result:
        while True:
            _, length = HEADER.unpack(await reader.readexactly(HEADER.size))
            data = await reader.readexactly(length)
            if not data:
                return {}
            writer.write(pack(Frame.STDOUT, data))
            await writer.drain()

    async def op_send(self, request: Request, reader: Reader, writer: Writer) -> Result:
        block = bytes(range(256)) * 256
        for _ in range(request["blocks"]):
            writer.write(pack(Frame.STDOUT, block))
            await writer.drain()
        return {}

    async def op_write(self, request: Request, reader: Reader, writer: Writer) -> Result:
        try:
            Path(request["path"]).write_text("from the guest")  # noqa: ASYNC240
        except OSError as error:
            return {"errno": error.errno}
        return {"errno": 0}

    async def op_read(self, request: Request, reader: Reader, writer: Writer) -> Result:
        return {"text": Path(request["path"]).read_text()}  # noqa: ASYNC240

    async def op_run(self, request: Request, reader: Reader, writer: Writer) -> Result:
        process = await asyncio.create_subprocess_exec(
            *request["argv"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return {"returncode": process.returncode, "text": output.decode()}

    async def op_die(self, request: Request, reader: Reader, writer: Writer) -> Result:
        os._exit(1)


def dies_at_once(_: str) -> None:
    """Make process 1 end, at which its kernel panics."""
    os._exit(1)
