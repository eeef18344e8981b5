"""What a person sees of probes made by hand: one explained at length, or each in a line. Pure: values in, text out.

Nothing of a body, a header or a secret is shown, nor what params and captures fill in: targets stand as written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.core.model import Outcome, Phases, Reason
from services.prober.assignments import Assignment
from services.prober.attempt import ProbeResult
from services.prober.checks import CheckResult, Verdict, explain
from services.prober.observation import CertificateFacts, Failure, Observation, Phase

__all__ = ["Probed", "explained", "line"]

_STYLES: Final = {Outcome.OK: "green", Outcome.UNKNOWN: "dim", Outcome.LATE: "yellow", Outcome.STALE: "yellow"}
_MARKS: Final = {Verdict.PASSED: ("✓", "green"), Verdict.FAILED: ("✗", "red"), Verdict.NOT_JUDGED: ("·", "dim")}
_COLOURS: Final = {"resolve": "magenta", "connect": "blue", "tls": "cyan", "processing": "green", "transfer": "yellow"}
_NAMED: Final = 8
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Probed:
    """One target and what became of it; ``now`` in epoch seconds."""

    assignment: Assignment
    result: ProbeResult
    now: float

    @property
    def who(self) -> str:
        """Who asks whom."""
        item = self.assignment
        return "endpoint" if item.target.endpoint else f"{item.consumer} asks {item.provider}"


def line(probed: Probed, ids: int, *, narrow: bool = False) -> Text:
    """One target in one line: id in ``ids`` columns, outcome, latency, reason, what was wrong, who asks whom.

    Where it is ``narrow``, the latency makes room for the rest.
    """
    judgement, latency = probed.result.judgement, probed.result.observation.latency
    took = "-" if latency is None else _milliseconds(latency)
    text = Text(f"{probed.assignment.target.id:<{ids}}  ")
    text.append(f"{judgement.outcome.name:<13}", style=_STYLES.get(judgement.outcome, "red"))
    detail = f": {judgement.detail}" if judgement.detail else ""
    reason = "" if judgement.outcome is Outcome.OK else f"{judgement.reason.name}{detail}  "
    text.append(f"  {reason}" if narrow else f"  {took:>10}  {reason}")
    text.append(probed.who, style="dim")
    return text


def explained(probed: Probed, width: int) -> RenderableType:
    """One target at length, for a terminal of ``width`` columns."""
    observation = probed.result.observation
    parts: list[RenderableType] = [_headline(probed)]
    phases = _phases(observation.phases, width)
    if phases is not None:
        parts += ["", phases]
    facts = list(_facts(probed))
    if facts:
        parts += ["", _labelled(facts)]
    if probed.result.judgement.reason is Reason.PROBER_ERROR:  # what could not be judged cannot be explained either
        return Group(*parts)
    if observation.steps:
        for number, step in enumerate(observation.steps, 1):
            results = explain(step.observation, step.expectations)
            parts += ["", _step(number, step.name, step.observation, results), _checks(results, indent=2)]
        results = explain(observation, probed.result.expectations)[len(observation.steps) :]
    else:
        results = explain(observation, probed.result.expectations)
    # When nothing at all was seen (our own crash, our own credential), there is nothing that checks could say.
    if results and (observation.phases != Phases() or observation.failure is not None):
        parts += ["", _checks(results)]
    return Group(*parts)


def _headline(probed: Probed) -> Group:
    item, judgement = probed.assignment, probed.result.judgement
    title = Text.assemble((item.target.id, "bold"), f"  {probed.who}")
    how = Text(f"{item.definition.kind} probe {item.definition.name} at {item.url}", style="dim")
    if len(item.params) > 1:
        how.append(f", test record {probed.result.turn + 1} of {len(item.params)}")
    outcome = Text(judgement.outcome.name, style=f"bold {_STYLES.get(judgement.outcome, 'red')}")
    if judgement.outcome is not Outcome.OK:
        outcome.append(f"  {judgement.reason.name}")
    if judgement.detail:
        outcome.append(f"  {judgement.detail}", style="not bold default")
    return Group(title, how, outcome)


def _phases(phases: Phases, width: int) -> Table | None:
    """Draw each phase from where the one before ended, in proportion."""
    known = [(field.name, getattr(phases, field.name)) for field in fields(phases)]
    known = [(name, seconds) for name, seconds in known if seconds is not None]
    total = sum(seconds for _, seconds in known)
    if not known:
        return None
    room = min(50, width - 28)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if room > 0:
        table.add_column(no_wrap=True)
    before = 0.0
    for name, seconds in known:
        row = [Text(name), Text(_milliseconds(seconds))]
        if room > 0:
            begin = min(room - 1, round(before / total * room)) if total else 0
            end = max(begin + 1, round((before + seconds) / total * room)) if total else 1
            row.append(Text(" " * begin) + Text("━" * (end - begin), style=_COLOURS[name]))
        table.add_row(*row)
        before += seconds
    return table


def _facts(probed: Probed) -> Iterator[tuple[str, str]]:
    """Yield what was seen beside the checks, by its label."""
    seen = probed.result.observation
    if seen.latency is not None:
        yield "latency", f"{_milliseconds(seen.latency)}, limit {_milliseconds(probed.assignment.latency)}"
    if seen.addresses:
        yield ("address" if len(seen.addresses) == 1 else "tried"), ", ".join(seen.addresses)
    spoken = [seen.protocol] if seen.protocol else []
    spoken += [seen.tls_version] if seen.tls_version else []
    if spoken:
        yield "spoken", " over ".join(spoken)
    if seen.redirects:
        yield "redirects", str(seen.redirects)
    yield from _answer(seen)
    if probed.result.judgement.data_age is not None:
        yield "data age", _age(probed.result.judgement.data_age)
    if seen.certificate is not None:
        failures = (seen.failure, *(step.observation.failure for step in seen.steps))
        yield from _certificate(seen.certificate, next(filter(None, failures), None), probed.now)


def _answer(seen: Observation) -> Iterator[tuple[str, str]]:
    if seen.status:
        yield "status", str(seen.status)
    if seen.raw_length or seen.body_length:
        decoded = f", {seen.body_length:,} decoded" if seen.body_length != seen.raw_length else ""
        yield "body", f"{seen.raw_length:,} bytes{decoded}"
    if seen.rpc is not None:
        yield "call", " ".join(filter(None, (seen.rpc.code, seen.rpc.serving)))
    if seen.dns is not None:
        cut = ", truncated" if seen.dns.truncated else ""
        yield (
            "records",
            f"{seen.dns.rcode}: {len(seen.dns.answers)} answers, {len(seen.dns.authority)} of authority{cut}",
        )


def _certificate(facts: CertificateFacts, failure: Failure | None, now: float) -> Iterator[tuple[str, str]]:
    yield "certificate", facts.subject or "without a subject"
    if facts.names:
        more = f" and {len(facts.names) - _NAMED} more" if len(facts.names) > _NAMED else ""
        yield "names", ", ".join(facts.names[:_NAMED]) + more
    yield "valid", f"{_date(facts.not_before)} to {_date(facts.not_after)}, {_left(facts.not_after, now)}"
    if facts.earliest_expiry != facts.not_after:
        yield "earliest", f"{_date(facts.earliest_expiry)}, {_left(facts.earliest_expiry, now)}"
    if facts.chain_expiry is not None:
        yield "chain", f"trusted until {_date(facts.chain_expiry)}, {_left(facts.chain_expiry, now)}"
    elif failure is not None and failure.phase is Phase.TLS and failure.cause.name.startswith("CERTIFICATE"):
        yield "chain", f"not trusted: {failure.detail}"
    else:
        yield "chain", "not verified"


def _labelled(facts: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(label, Text(value))
    return table


def _step(number: int, name: str, seen: Observation, results: Sequence[CheckResult]) -> Text:
    failed = any(result.verdict is Verdict.FAILED for result in results)
    mark, style = _MARKS[Verdict.FAILED if failed else Verdict.PASSED]
    text = Text.assemble((mark, style), " ", (f"step {number}: {name}", "bold"))
    told = [_milliseconds(seen.latency)] if seen.latency is not None else []
    told += [f"status {seen.status}"] if seen.status else []
    told += [f"{seen.redirects} redirect{'s' * (seen.redirects != 1)}"] if seen.redirects else []
    return text.append(f"  {', '.join(told)}")


def _checks(results: Sequence[CheckResult], indent: int = 0) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for result in results:
        mark, style = _MARKS[result.verdict]
        what = Text(result.what, style="dim" if result.verdict is Verdict.NOT_JUDGED else "")
        if result.verdict is Verdict.FAILED and result.reason is not None:
            what.append(f"  {result.reason.name}: {result.detail}", style="red")
        elif result.detail and not result.what.endswith(f" {result.detail}"):
            what.append(f"  {result.detail}", style="dim")
        table.add_row(Text(" " * indent) + Text(mark, style=style), what)
    return table


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _date(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _left(until: int, now: float) -> str:
    days = (until - now) / _DAY
    return f"{days:.1f} days left" if days >= 0 else f"expired {-days:.1f} days ago"


def _age(seconds: float) -> str:
    for unit, length in (("days", _DAY), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
