"""A bus in memory with the faults of a real one: lost acknowledgements, and messages late, twice or out of order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.core.bus import STREAMS, StoredMessage, StreamState
from services.core.errors import BusError

MAX_AGE = 7 * 86_400.0
DUPLICATE_SECONDS = 120.0
"""How long a stream remembers the ids of messages."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The share of the calls of a healthy bus that meet each fault."""

    lost: float = 0.0
    unacknowledged: float = 0.0
    late: float = 0.0
    repeated: float = 0.0
    slow: float = 0.0


@dataclass(eq=False)
class Stream:
    """One stream, from its creation on."""

    created: str
    first: int = 1
    messages: list[StoredMessage] = field(default_factory=list)
    ids: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last sequence, or the one before the first when it is empty."""
        return self.first + len(self.messages) - 1


class Bus:
    """All streams. ``stored`` is called for each message that is stored, ``destroyed`` before messages are removed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random, trouble: Trouble) -> None:
        self.trouble = trouble
        self.down: set[str] = set()
        """The clients that cannot reach it."""
        self.clock_ahead = 0.0
        self.counts: Counter[str] = Counter()
        self.stored: Callable[[str, str, StoredMessage], None] = lambda *_: None
        self.destroyed: Callable[[str, Sequence[StoredMessage]], None] = lambda *_: None
        self.streams: dict[str, Stream] = {}
        self._loop, self._rng = loop, rng
        for name in STREAMS:
            self.streams[name] = Stream(self._moment())

    @property
    def now(self) -> float:
        """The clock of the bus, in epoch seconds."""
        return self._loop.time() + self.clock_ahead

    def begin_anew(self, name: str) -> None:
        """Replace a stream with a new one without messages."""
        stream = self.streams[name]
        self.destroyed(stream.created, stream.messages)
        self.streams[name] = Stream(self._moment())

    def forget_ids(self) -> None:
        """Forget the ids of messages, as after the election of another leader."""
        for stream in self.streams.values():
            stream.ids.clear()

    def expire(self, name: str) -> Stream:
        """Remove the messages of a stream that are too old, and return it."""
        stream = self.streams[name]
        oldest = self.now - MAX_AGE
        gone = 0
        while gone < len(stream.messages) and stream.messages[gone].time < oldest:
            gone += 1
        if gone:
            self.counts["expired messages"] += gone
            self.destroyed(stream.created, stream.messages[:gone])
            del stream.messages[:gone]
            stream.first += gone
        return stream

    def store(self, name: str, subject: str, payload: bytes, message_id: str) -> int:
        """Store a message, unless the stream still knows its id. Return its sequence."""
        stream = self.expire(name)
        known = stream.ids.get(message_id)
        if known and self._loop.time() - known[1] < DUPLICATE_SECONDS:
            self.counts["duplicates recognised"] += 1
            return known[0]
        message = StoredMessage(stream.last + 1, subject, payload, round(self.now, 6))
        stream.messages.append(message)
        stream.ids[message_id] = message.sequence, self._loop.time()
        self.stored(stream.created, message_id, message)
        return message.sequence

    def client(self, name: str) -> Client:
        """Return the bus as one component sees it."""
        return Client(self, name)

    def fate(self) -> str:
        """Draw what happens to a call."""
        draw = self._rng.random()
        for name in ("lost", "unacknowledged", "late", "repeated", "slow"):
            draw -= getattr(self.trouble, name)
            if draw < 0:
                self.counts[f"{name} messages"] += 1
                return name
        return ""

    def later(self, seconds: float, name: str, subject: str, payload: bytes, message_id: str) -> None:
        """Store a message after up to so many seconds."""
        self._loop.call_later(self._rng.uniform(0.0, seconds), self.store, name, subject, payload, message_id)

    async def pause(self, seconds: float) -> None:
        """Take up to so many seconds."""
        await asyncio.sleep(self._rng.uniform(0.0, seconds))

    def _moment(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Client:
    """The bus as one component sees it: the calls of services.core.bus.Bus that the pipeline makes."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus, self._name = bus, name
        self.acknowledged: defaultdict[str, int] = defaultdict(int)

    @property
    def connected(self) -> bool:
        """Whether the bus can be reached."""
        return self._name not in self._bus.down

    async def publish(
        self, subject: str, payload: bytes, *, message_id: str, timeout: float = 5.0, **_: int | None
    ) -> int:
        """Store a message and return its sequence. Raises BusError when that is not acknowledged."""
        bus, name = self._bus, "MEASUREMENTS"
        await self._reach(timeout)
        fate = bus.fate()
        if fate == "late":  # after the sender gave up, and after what it sends meanwhile
            bus.later(900.0, name, subject, payload, message_id)
        if fate in ("lost", "late"):
            await self._give_up(timeout)
        if fate == "slow":
            await bus.pause(timeout * 0.9)
        sequence = bus.store(name, subject, payload, message_id)
        if fate == "repeated":
            bus.later(3600.0, name, subject, payload, message_id)
        if fate == "unacknowledged":
            await self._give_up(timeout)
        self.acknowledged[message_id] += 1
        return sequence

    async def read(
        self,
        stream: str,
        start: int,
        *,
        pattern: str = ">",
        limit: int = 500,
        timeout: float = 5.0,
        since: datetime | None = None,
    ) -> list[StoredMessage]:
        """Return up to ``limit`` messages from a sequence on, or from the first one stored at ``since`` or later."""
        assert pattern == ">"
        await self._reach(timeout)
        held = self._bus.expire(stream)
        at = max(0, start - held.first)
        if since is not None:
            moment = since.timestamp()  # the clock may have stepped back, so times are not in order
            at = next((at for at, message in enumerate(held.messages) if message.time >= moment), len(held.messages))
        return held.messages[at : at + limit]

    async def stream_state(self, stream: str) -> StreamState:
        """Return when a stream was created and which sequences it holds."""
        await self._reach(5.0)
        held = self._bus.expire(stream)
        size = len(held.messages)
        return StreamState(held.created, held.first, held.last, size, size, now=self._bus.now, max_age=MAX_AGE)

    async def were_deleted(self, stream: str, first: int, last: int, *, or_lost: bool = False) -> bool:
        """Return whether messages were deleted by request, which nobody does here."""
        assert first <= last, (stream, or_lost)
        await self._reach(5.0)
        return False

    async def _reach(self, timeout: float) -> None:
        if not self.connected:
            await self._give_up(timeout)
        await asyncio.sleep(0)

    async def _give_up(self, timeout: float) -> None:
        await asyncio.sleep(timeout)
        raise BusError(f"the simulated bus does not answer {self._name}")
