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
    """The verdict of one prober on a case. UNKNOWN: the monitor is at fault. NOT_ASKED: it cannot be put to the prober."""

    PASSES = "passes"
    FAILS = "fails"
    UNKNOWN = "unknown"
    CONFIG_ERROR = "config error"
    NOT_ASKED = "not asked"


PASSES, FAILS, UNKNOWN, CONFIG_ERROR, NOT_ASKED = Verdict

YEAR_ONE = "year 1"
"""Stands for a time that is reported although there is none."""


def verdict_of(reason: Reason) -> Verdict:
    """Return the verdict for one of our reasons."""
    if reason is Reason.OK:
        return PASSES
    return UNKNOWN if reason.outcome is Outcome.UNKNOWN else FAILS


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a session's files: the register, the module file and the authority's certificate, ``ca.pem``."""

    folder: Path
    authority: Authority


@dataclass(frozen=True, slots=True)
class Stage:
    """The target of running servers in our register, and ``theirs`` if blackbox_exporter names it differently.

    ``resolver`` is used in place of the system's resolver.
    """

    target: str
    theirs: str = ""
    resolver: Resolver | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of one prober for a case: verdict, explanation, and facts by the names of ``Case.facts``."""

    verdict: Verdict
    why: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One situation and the result that each prober must give.

    ``probe`` is a definition as written in probes.yaml, ``module`` one as written for blackbox_exporter. ``reason`` is
    our reason (None: the register is refused), ``theirs`` their verdict. ``facts`` are expected of both probers,
    ``our_facts`` and ``their_facts`` of one. Certificate expiries are in days from now; None is a fact that is not
    reported. ``differs`` says why our result differs on purpose. It is set exactly when verdicts or facts differ.
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
        """The name of the case as a test and as a module."""
        return f"{self.number:02}-{re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-')}"

    @property
    def secret(self) -> bool:
        """Whether the case checks if a secret can be read."""
        return "leaked" in {**self.facts, **self.our_facts, **self.their_facts}

    @property
    def ours(self) -> Verdict:
        """Our verdict."""
        return CONFIG_ERROR if self.reason is None else verdict_of(self.reason)

    @property
    def same(self) -> bool:
        """Whether both probers are expected to give the same result."""
        return self.ours is self.theirs and not self.our_facts and not self.their_facts
