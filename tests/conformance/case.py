"""A case of the conformance suite: one situation, put to our prober and to blackbox_exporter. Not a test itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from services.core.model.outcome import Outcome, Reason
from services.prober.transport.resolver import Resolver
from tests.support.servers.authority import Authority

__all__ = [
    "BEHAVIOURS",
    "CONFIG_ERROR",
    "FAILS",
    "NOT_ASKED",
    "PASSES",
    "UNKNOWN",
    "YEAR_ONE",
    "Case",
    "Place",
    "Seen",
    "Stage",
    "Verdict",
    "verdict_of",
]

BEHAVIOURS = range(1, 31)
"""The behaviours of docs/probing.md that a user of blackbox_exporter relies on."""


class Verdict(Enum):
    """What one prober says of a case: UNKNOWN where it says that the monitor is at fault, NOT_ASKED where it cannot be
    put to it.
    """

    PASSES = "passes"
    FAILS = "fails"
    UNKNOWN = "unknown"
    CONFIG_ERROR = "config error"
    NOT_ASKED = "not asked"


PASSES, FAILS, UNKNOWN, CONFIG_ERROR, NOT_ASKED = Verdict

YEAR_ONE = "year 1"
"""A time that is reported though there is none."""


def verdict_of(reason: Reason) -> Verdict:
    """What a reason of ours amounts to."""
    if reason is Reason.OK:
        return PASSES
    return UNKNOWN if reason.outcome is Outcome.UNKNOWN else FAILS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session's files are: the register, the module file, the authority's certificate as ``ca.pem``."""

    folder: Path
    authority: Authority


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that are up, by their target: as our register names it, and as ``theirs`` where that differs.

    ``resolver`` is asked for names in place of the system's.
    """

    target: str
    theirs: str = ""
    resolver: Resolver | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one prober made of a case: verdict, what it says about it, facts by the names of ``Case.facts``."""

    verdict: Verdict
    why: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One situation and what both probers must make of it.

    ``probe`` is a definition as written in probes.yaml, ``module`` one as written for blackbox_exporter. ``reason`` is
    ours (None: the register is refused), ``theirs`` their verdict. ``facts`` are expected of both, ``our_facts`` and
    ``their_facts`` of one: certificate expiries in days from now, None for what is not reported. ``differs`` says why
    ours differs on purpose; there exactly when verdicts or facts do.
    """

    number: int
    name: str
    scene: Callable[[Place], AbstractAsyncContextManager[Stage]]
    probe: str
    module: str
    reason: Reason | None
    theirs: Verdict
    facts: Mapping[str, object] = field(default_factory=dict)
    our_facts: Mapping[str, object] = field(default_factory=dict)
    their_facts: Mapping[str, object] = field(default_factory=dict)
    differs: str = ""

    @property
    def id(self) -> str:
        """A name fit for tests and modules."""
        return f"{self.number:02}-{re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-')}"

    @property
    def secret(self) -> bool:
        """Whether the case asks if a secret can be read."""
        return "leaked" in {**self.facts, **self.our_facts, **self.their_facts}

    @property
    def ours(self) -> Verdict:
        """Our verdict."""
        return CONFIG_ERROR if self.reason is None else verdict_of(self.reason)

    @property
    def same(self) -> bool:
        """Whether both are expected to say the same."""
        return self.ours is self.theirs and not self.our_facts and not self.their_facts
