"""Adapts the h2 library to odd or hostile servers: lenient where that does no harm, and bounded."""

from __future__ import annotations

from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder
from hpack.exceptions import HPACKDecodingError
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, SettingsFrame

WINDOW: Final = 1 << 20
"""Bodies up to this size arrive without waiting for a window update."""

HEADER_LIMIT: Final = 64 * 1024
"""Bytes that headers may take, which is the library's own limit too. Decoding them all at once takes up to 40 ms."""

# Settings, and frames without a part of the body. Servers send some dozens. One takes some 10 µs.
_MAX_FRAMES: Final = 1000
# One more frame is allowed for so many bytes of the body, because some servers send it in small parts.
_BODY_BYTES_PER_FRAME: Final = 64
# Changes of the size of the header table. Headers may begin with two (RFC 7541, 4.2); the library allows any number.
_MAX_TABLE_CHANGES: Final = 64
_CONFIGURATION: Final = H2Configuration(client_side=True, header_encoding=None)


class TooManyFramesError(ProtocolError):
    """An answer has too many frames for its body."""


class _BoundedDecoder(Decoder):
    """Decodes headers, which may change the size of their table only a few times."""

    def __init__(self) -> None:
        super().__init__(max_header_list_size=HEADER_LIMIT)
        self._table_changes = 0

    def _update_encoding_context(self, data: bytes | memoryview) -> int:
        self._table_changes += 1
        if self._table_changes > _MAX_TABLE_CHANGES:
            raise HPACKDecodingError("the header table changes too often")
        return super()._update_encoding_context(data)


class TolerantH2(H2Connection):
    """Keeps the events before a broken frame, and reads on after GOAWAY: the server may still answer (RFC 9113, 6.8).

    ``events`` holds the events since it was last cleared. ``receive_data`` also raises TooManyFramesError.
    """

    def __init__(self) -> None:
        super().__init__(_CONFIGURATION)
        self.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
            },
        )
        self.decoder = _BoundedDecoder()
        self.events: list[Event] = []
        self._frames = self._body_bytes = 0

    def _receive_frame(self, frame: Frame) -> list[Event]:
        self._frames += 1
        if isinstance(frame, DataFrame):
            self._body_bytes += len(frame.data)
        elif isinstance(frame, SettingsFrame):
            self._frames += len(frame.settings)
        if self._frames > _MAX_FRAMES + self._body_bytes // _BODY_BYTES_PER_FRAME:
            raise TooManyFramesError
        events = super()._receive_frame(frame)
        self.events += events
        return events

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        state = self.state_machine.state
        frames, events = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return frames, events
