"""A keeper that only echoes, for tests of the guest alone."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from testbed.protocol import HEADER, Frame, pack, pack_message


class Keeper:
    def __init__(self, name: str) -> None:
        self.name = name
        self.stopped = asyncio.Event()

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

    async def op_hello(self, request, reader, writer):
        return {"name": self.name, "pid": os.getpid(), "time": time.time()}

    async def op_stop(self, request, reader, writer):
        writer.write(pack_message({"event": "stopping"}))
        self.stopped.set()
        return {}

    async def op_echo(self, request, reader, writer):
        while True:
            kind, length = HEADER.unpack(await reader.readexactly(HEADER.size))
            data = await reader.readexactly(length)
            if not data:
                return {}
            writer.write(pack(Frame.STDOUT, data))
            await writer.drain()

    async def op_send(self, request, reader, writer):
        block = bytes(range(256)) * 256
        for _ in range(request["blocks"]):
            writer.write(pack(Frame.STDOUT, block))
            await writer.drain()
        return {}

    async def op_write(self, request, reader, writer):
        try:
            Path(request["path"]).write_text("from the guest")
        except OSError as error:
            return {"errno": error.errno}
        return {"errno": 0}

    async def op_read(self, request, reader, writer):
        return {"text": Path(request["path"]).read_text()}

    async def op_run(self, request, reader, writer):
        process = await asyncio.create_subprocess_exec(
            *request["argv"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return {"returncode": process.returncode, "text": output.decode()}

    async def op_die(self, request, reader, writer):
        os._exit(1)
