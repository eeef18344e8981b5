"""Record what was published, stored and destroyed in a simulation, as the bus and the probers know it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from services.core.bus import StoredMessage
from services.core.codec import decode_measurements, decode_sender
from services.core.model import Measurement, StreamPosition


@dataclass(eq=False)
class Entry:
    """One message that the stream stored. ``generation`` is how often the stream was recreated before."""

    generation: int
    message: StoredMessage

    @cached_property
    def rows(self) -> list[Measurement]:
        """The measurements in the message."""
        return list(decode_measurements(self.message.data))

    @cached_property
    def place(self) -> tuple[str, str, int]:
        """The prober, its run and the number of the batch in it."""
        sender = decode_sender(self.message.data)
        assert sender.place is not None
        return sender.prober, sender.place.run.hex(), sender.place.number


@dataclass(eq=False)
class Record:
    """Everything that a judge needs to know. ``excused`` are messages that a component may lack, by its name."""

    log: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    generations: list[str] = field(default_factory=list)
    spooled: set[str] = field(default_factory=set)
    """The ids of messages that were put on a prober's disk."""
    dropped: set[str] = field(default_factory=set)
    """The ids of messages that a full spool dropped."""
    excused: defaultdict[str, set[Entry]] = field(default_factory=lambda: defaultdict(set))
    durable: dict[str, Callable[[], StreamPosition | None]] = field(default_factory=dict)
    """By component: reads from its files the position up to which it has the stream."""
    repairing: set[str] = field(default_factory=set)
    """Components that have damaged files and have not restarted since."""
    stored_ids: set[str] = field(default_factory=set)

    def note(self, moment: float, who: str, what: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{moment:.3f} {who}: {what}")

    @property
    def digest(self) -> str:
        """A hash of everything that happened."""
        return sha256("\n".join(self.log).encode()).hexdigest()

    def stored(self, created: str, message_id: str, message: StoredMessage) -> None:
        """Record a message that the stream stored."""
        if not self.generations or self.generations[-1] != created:
            self.generations.append(created)
        self.entries.append(Entry(len(self.generations) - 1, message))
        self.stored_ids.add(message_id)
        self.note(message.time, "bus", f"stored {message.sequence} {message_id}")

    def destroyed(self, created: str, messages: Sequence[StoredMessage]) -> None:
        """Excuse the components that have not yet durably read the messages that are destroyed."""
        if not messages:
            return
        gone = {message.sequence for message in messages}
        generation = self.generations.index(created)
        entries = [one for one in self.entries if one.generation == generation and one.message.sequence in gone]
        for name, read in self.durable.items():
            position = read()
            whole = position is not None and position.created == created and name not in self.repairing
            taken = position.sequence if position is not None and whole else 0
            self.excused[name].update(one for one in entries if one.message.sequence > taken)
