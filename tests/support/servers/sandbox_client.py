"""An independent client of the sandbox's servers, on asyncio streams and ssl only."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Seen", "ask"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw.

    ``end`` is refused, tls, hung, closed or answered. ``seconds`` is the time since connecting by the loop's clock.
    """

    end: str
    seconds: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    detail: str = ""

    @property
    def json(self) -> dict[str, object]:
        """The body as a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


async def ask(
    url: str, *, trust: ssl.SSLContext | None = None, body: bytes = b"", seconds: float, method: str = "GET"
) -> Seen:
    """Make one request over a connection of its own."""
    clock = asyncio.get_running_loop().time
    start = clock()
    parts = urlsplit(url)
    context = trust if parts.scheme == "https" else None
    head = (
        f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
            writer.write(head.encode() + body)
            answer = await reader.read()
    except ssl.SSLCertVerificationError as error:
        return Seen("tls", clock() - start, detail=error.verify_message)
    except TimeoutError:
        return Seen("hung", clock() - start)
    except ConnectionRefusedError:
        return Seen("refused", clock() - start)
    except ConnectionError as error:
        return Seen("closed", clock() - start, detail=str(error))
    finally:
        if writer is not None:
            writer.transport.abort()
    took = clock() - start
    if not answer:
        return Seen("closed", took)
    top, _, content = answer.partition(b"\r\n\r\n")
    status, *lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Seen("answered", took, int(status.split()[1]), headers, content)
