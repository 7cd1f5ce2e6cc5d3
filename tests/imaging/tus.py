"""A client of tus 1.0 as a browser is one: announces a file, asks where to go on, sends pieces."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import ClientResponse

from tests.serving import Client

RESUMABLE = {"Tus-Resumable": "1.0.0"}


def encoded(**values: object) -> str:
    return ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}" for key, value in values.items()
    )


def checksum(piece: bytes) -> str:
    return f"sha256 {base64.b64encode(hashlib.sha256(piece).digest()).decode()}"


@dataclass
class Sending:
    """One file on its way."""

    client: Client
    data: bytes
    name: str = "ecg.xml"
    path: str = ""
    sent_bytes: int = 0

    async def call(self, method: str, headers: dict[str, str], body: bytes | None = None) -> ClientResponse:
        url = self.client.base + (self.path or "/api/uploads")
        return await self.client.http.request(
            method, url, data=body, headers=self.client.headers | RESUMABLE | headers
        )

    async def create(self, request_id: UUID, sha256: str | None = None) -> ClientResponse:
        digest = sha256 or hashlib.sha256(self.data).hexdigest()
        told = encoded(request_id=request_id, filename=self.name, sha256=digest)
        self.path = ""
        answer = await self.call("POST", {"Upload-Length": str(len(self.data)), "Upload-Metadata": told})
        self.path = answer.headers.get("Location", "")
        return answer

    async def offset(self) -> int:
        answer = await self.call("HEAD", {})
        assert answer.status == 200, answer.status
        return int(answer.headers["Upload-Offset"])

    async def send(self, offset: int, piece: bytes, sum_of: bytes | None = None) -> ClientResponse:
        self.sent_bytes += len(piece)
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Upload-Checksum": checksum(piece if sum_of is None else sum_of),
        }
        return await self.call("PATCH", headers, piece)

    async def cut(
        self,
        offset: int,
        piece: bytes,
        after: int,
        arrived: Callable[[], int],
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Send only the first `after` bytes of a piece; once the hub has them, `then` the line is lost."""
        host, port = self.client.base.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = {
            **self.client.headers, **RESUMABLE, "Host": host, "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream", "Content-Length": str(len(piece)),
            "Upload-Checksum": checksum(piece),
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"PATCH {self.path} HTTP/1.1\r\n{lines}\r\n".encode() + piece[:after])
        await writer.drain()
        self.sent_bytes += after
        async with asyncio.timeout(10):
            # What still lies in buffers when a line dies is lost, and a file sets no event.
            while arrived() < offset + after:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        then()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def whole(self, request_id: UUID, piece_bytes: int = 1 << 18) -> str:
        """The file from wherever it stands to its end; its id."""
        answer = await self.create(request_id)
        assert answer.status == 201, await answer.text()
        offset = int(answer.headers["Upload-Offset"])
        while offset < len(self.data):
            answer = await self.send(offset, self.data[offset : offset + piece_bytes])
            assert answer.status == 204, await answer.text()
            offset = int(answer.headers["Upload-Offset"])
        return self.path.rpartition("/")[2]
