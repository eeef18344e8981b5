"""The TLS files of a client, which are read again when they change: a renewed certificate needs no restart."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from services.core.errors import SettingsError, reason_of
from services.core.watched_files import WatchedFiles

_LOOK_SECONDS = 1.0
"""How long a change of the files may go unnoticed."""

_Contents = tuple[bytes | None, bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: certificate authorities to trust instead of the system's, and a client certificate with its key."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """The files that are named."""
        return [path for path in (self.ca, self.certificate, self.key) if path is not None]

    def read(self) -> _Contents:
        """Return authorities, key and certificate. Raises SettingsError when they cannot be used."""
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("a certificate to show to the api needs its key: name both files")
        contents = _read(self.ca), _read(self.key), _read(self.certificate)
        if self.certificate is not None:
            # gRPC takes any text for a certificate; while one of the two files is renewed, they do not belong together.
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(self.certificate, self.key, password=lambda: "")
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"{self.certificate} with {self.key} cannot be shown to the api: {error}"
                ) from error
        return contents


class RenewedChannel:
    """A channel for stubs, which makes each call with the files as they are, by the channel that ``open_channel`` returns.

    Calls under way finish by the channel by which they were made. ``failed`` is called, once per reason, while changed files
    cannot be used; the former ones stay in use. Raises SettingsError if the first ones cannot.
    """

    def __init__(
        self,
        files: TlsFiles,
        open_channel: Callable[[grpc.ChannelCredentials], grpc.aio.Channel],
        failed: Callable[[Exception], None],
    ) -> None:
        self._open = open_channel
        self._contents = files.read()
        self._watched = WatchedFiles(files.paths, files.read, interval=_LOOK_SECONDS, failed=failed)
        self._channel = self._opened(self._contents)
        self._under_way: Counter[grpc.aio.Channel] = Counter()
        self._closing: set[asyncio.Task[None]] = set()

    def unary_unary(self, *words: Any, **named: Any) -> Callable[..., Any]:
        """Return a method with one answer, as a channel does."""
        return self._method(lambda channel: channel.unary_unary(*words, **named))

    def unary_stream(self, *words: Any, **named: Any) -> Callable[..., Any]:
        """Return a method with many answers, as a channel does."""
        return self._method(lambda channel: channel.unary_stream(*words, **named))

    async def close(self) -> None:
        """End all calls."""
        await asyncio.gather(*(channel.close() for channel in {self._channel, *self._under_way}), *self._closing)

    def _method(self, made_of: Callable[[grpc.aio.Channel], Callable[..., Any]]) -> Callable[..., Any]:
        made: tuple[grpc.aio.Channel, Callable[..., Any]] | None = None

        def call(*words: Any, **named: Any) -> Any:
            nonlocal made
            channel = self._current()
            if made is None or made[0] is not channel:
                made = channel, made_of(channel)
            under_way = made[1](*words, **named)
            self._under_way[channel] += 1
            under_way.add_done_callback(lambda _: self._ended(channel))
            return under_way

        return call

    def _current(self) -> grpc.aio.Channel:
        contents = self._watched.get()
        if contents != self._contents:
            former, self._contents, self._channel = self._channel, contents, self._opened(contents)
            self._close_unused(former)
        return self._channel

    def _ended(self, channel: grpc.aio.Channel) -> None:
        self._under_way[channel] -= 1
        self._close_unused(channel)

    def _close_unused(self, channel: grpc.aio.Channel) -> None:
        """Close a former channel without calls. Closing it earlier would cancel the tasks that wait for them."""
        if channel is not self._channel and not self._under_way[channel]:
            del self._under_way[channel]
            closing = asyncio.ensure_future(channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _opened(self, contents: _Contents) -> grpc.aio.Channel:
        return self._open(grpc.ssl_channel_credentials(*contents))


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path}, which the connection to the api needs, cannot be read: {reason_of(error)}"
        ) from error
