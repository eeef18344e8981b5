"""Renders results for ``peyvand probe``: a report of one probe, or a line for each. Pure: values in, text out.

Bodies, headers, secrets, and the values of params and captures are not shown: targets stand as written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from services.cli.render.format import number, text, word
from services.core.days import utc_minute
from services.core.model import Outcome, Phases, Reason
from services.prober.assignments import Assignment
from services.prober.attempt import ProbeResult
from services.prober.checks import CheckResult, explain
from services.prober.observation import CertificateFacts, Failure, Observation, Phase

_STYLES: Final = {Outcome.OK: "green", Outcome.UNKNOWN: "dim", Outcome.LATE: "yellow", Outcome.STALE: "yellow"}
_PASSED, _FAILED, _NOT_JUDGED = ("✓", "green"), ("✗", "red"), ("·", "dim")
_COLOURS: Final = {"resolve": "magenta", "connect": "blue", "tls": "cyan", "processing": "green", "transfer": "yellow"}
_MAX_NAMES: Final = 8
_OUTCOME_COLUMNS: Final = max(map(len, Outcome.__members__))
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """One target and the result of probing it; ``now`` in epoch seconds."""

    assignment: Assignment
    result: ProbeResult
    now: float

    @property
    def parties(self) -> str:
        """Which agency asks which, or that it is an endpoint."""
        item = self.assignment
        return "endpoint" if item.target.endpoint else f"{item.consumer} asks {item.provider}"


def run_line(run: ProbeRun, width: int, columns: int | None = None) -> Text:
    """Return a run in one line: id in ``width`` columns, outcome, latency, reason, detail, parties.

    Where a terminal of ``columns`` has no room for all of it, the parties go first, and then the latency; the reason takes
    a line of its own, so that it is never cut.
    """
    judgement, latency = run.result.judgement, run.result.observation.latency
    name = Text(f"{run.assignment.target.id:<{width}}")
    outcome = Text(f"{judgement.outcome.name:<{_OUTCOME_COLUMNS}}")
    outcome.stylize(_STYLES.get(judgement.outcome, "red"))
    took = Text(f"{'-' if latency is None else _milliseconds(latency):>10}")
    detail = f": {judgement.detail}" if judgement.detail else ""
    reason = [] if judgement.outcome is Outcome.OK else [Text(f"{judgement.reason.name}{detail}")]
    gap = Text("  ")
    line = gap.join([name, outcome, took, *reason, Text(run.parties, style="dim")])
    if columns is None or line.cell_len <= columns:
        return line
    shorter = gap.join([name, outcome, took]), gap.join([name, outcome])
    first = next((one for one in shorter if one.cell_len <= columns), Text("\n  ").join([name, outcome]))
    return Text("\n  ").join([first, *reason])


def run_report(run: ProbeRun, width: int) -> RenderableType:
    """Return a run at length, for a terminal of ``width`` columns."""
    observation = run.result.observation
    parts: list[RenderableType] = [_headline(run)]
    phases = _phases(observation.phases, width)
    if phases is not None:
        parts += ["", phases]
    facts = list(_facts(run))
    if facts:
        parts += ["", _grid(facts)]
    if run.result.too_costly or run.result.judgement.reason is Reason.PROBER_ERROR:  # there is no judgement to explain
        return Group(*parts)
    if observation.steps:
        steps = zip(observation.steps, run.result.expectations.steps, strict=True)
        for number, (step, expected) in enumerate(steps, 1):
            results = explain(step.observation, expected)
            parts += ["", _step(number, step.name, step.observation, results), _checks(results, indent=2)]
        results = explain(observation, run.result.expectations)[len(observation.steps) :]
    else:
        results = explain(observation, run.result.expectations)
    # Without an observation (our own crash, our own credential) the checks have nothing to work on.
    if results and (observation.phases != Phases() or observation.failure is not None):
        parts += ["", _checks(results)]
    return Group(*parts)


def _headline(run: ProbeRun) -> Group:
    item, judgement = run.assignment, run.result.judgement
    title = Text.assemble((item.target.id, "bold"), f"  {run.parties}")
    how = Text(f"{item.definition.kind} probe {item.definition.name} at {item.url}", style="dim")
    if len(item.params) > 1:
        how.append(f", test record {run.result.turn + 1} of {len(item.params)}")
    outcome = Text(judgement.outcome.name, style=f"bold {_STYLES.get(judgement.outcome, 'red')}")
    if judgement.outcome is not Outcome.OK:
        outcome.append(f"  {judgement.reason.name}")
    if judgement.detail:
        outcome.append(f"  {judgement.detail}", style="not bold default")
    return Group(title, how, outcome)


def _phases(phases: Phases, width: int) -> Table | None:
    """Return the phases as bars in proportion, each beginning where the one before ended."""
    measured = [(name, seconds) for name, seconds in phases._asdict().items() if seconds is not None]
    total = sum(seconds for _, seconds in measured)
    if not measured:
        return None
    room = min(50, width - 28)
    table = Table.grid(word(), number(), *([word()] if room > 0 else []), padding=(0, 2, 0, 0))
    before = 0.0
    for name, seconds in measured:
        row = [Text(name), Text(_milliseconds(seconds))]
        if room > 0:
            begin = min(room - 1, round(before / total * room)) if total else 0
            end = max(begin + 1, round((before + seconds) / total * room)) if total else 1
            row.append(Text(" " * begin) + Text("━" * (end - begin), style=_COLOURS[name]))
        table.add_row(*row)
        before += seconds
    return table


def _facts(run: ProbeRun) -> Iterator[tuple[str, str]]:
    """Yield labels and values of the observed facts beside the checks."""
    observed = run.result.observation
    if observed.latency is not None:
        yield "latency", f"{_milliseconds(observed.latency)}, limit {_milliseconds(run.assignment.latency)}"
    if observed.addresses:
        yield ("address" if len(observed.addresses) == 1 else "tried"), ", ".join(observed.addresses)
    spoken = [observed.protocol] if observed.protocol else []
    spoken += [observed.tls_version] if observed.tls_version else []
    if spoken:
        yield "spoken", " over ".join(spoken)
    if observed.redirects:
        yield "redirects", str(observed.redirects)
    yield from _answer(observed)
    if run.result.judgement.data_age is not None:
        yield "data age", _age(run.result.judgement.data_age)
    if observed.certificate is not None:
        failures = (observed.failure, *(step.observation.failure for step in observed.steps))
        yield from _certificate(observed.certificate, next(filter(None, failures), None), run.now)


def _answer(observed: Observation) -> Iterator[tuple[str, str]]:
    if observed.status:
        yield "status", str(observed.status)
    if observed.raw_length or observed.body_length:
        decoded = f", {observed.body_length:,} decoded" if observed.body_length != observed.raw_length else ""
        yield "body", f"{observed.raw_length:,} bytes{decoded}"
    if observed.rpc is not None:
        yield "call", " ".join(filter(None, (observed.rpc.code, observed.rpc.serving)))
    if observed.dns is not None:
        cut = ", truncated" if observed.dns.truncated else ""
        yield (
            "records",
            f"{observed.dns.rcode}: {len(observed.dns.answers)} answers, {len(observed.dns.authority)} of authority{cut}",
        )


def _certificate(facts: CertificateFacts, failure: Failure | None, now: float) -> Iterator[tuple[str, str]]:
    yield "certificate", facts.subject or "without a subject"
    if facts.names:
        more = max(0, len(facts.names) - _MAX_NAMES) + facts.more_names
        yield "names", ", ".join(facts.names[:_MAX_NAMES]) + (f" and {more} more" if more else "")
    yield "valid", f"{utc_minute(facts.not_before)} to {utc_minute(facts.not_after)}, {_left(facts.not_after, now)}"
    if facts.earliest_expiry != facts.not_after:
        yield "earliest", f"{utc_minute(facts.earliest_expiry)}, {_left(facts.earliest_expiry, now)}"
    if facts.chain_expiry is not None:
        yield "chain", f"trusted until {utc_minute(facts.chain_expiry)}, {_left(facts.chain_expiry, now)}"
    elif failure is not None and failure.phase is Phase.TLS and failure.cause.name.startswith("CERTIFICATE"):
        yield "chain", f"not trusted: {failure.detail}"
    else:
        yield "chain", "not verified"


def _grid(facts: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(Column(no_wrap=True, style="dim"), text(), padding=(0, 2, 0, 0))
    for label, value in facts:
        table.add_row(label, Text(value))
    return table


def _step(number: int, name: str, observed: Observation, results: Sequence[CheckResult]) -> Text:
    mark = _FAILED if any(result.failed for result in results) else _PASSED
    line = Text.assemble(mark, " ", (f"step {number}: {name}", "bold"))
    facts = [_milliseconds(observed.latency)] if observed.latency is not None else []
    facts += [f"status {observed.status}"] if observed.status else []
    facts += [f"{observed.redirects} redirect{'s' * (observed.redirects != 1)}"] if observed.redirects else []
    return line.append(f"  {', '.join(facts)}")


def _checks(results: Sequence[CheckResult], indent: int = 0) -> Table:
    table = Table.grid(word(), text(), padding=(0, 1, 0, 0))
    for result in results:
        mark, what = _PASSED, Text(result.what)
        if result.reason is None:
            mark, what.style = _NOT_JUDGED, "dim"
        elif result.failed:
            mark = _FAILED
            what.append(f"  {result.reason.name}: {result.detail}", style="red")
        elif result.detail and not result.what.endswith(f" {result.detail}"):
            what.append(f"  {result.detail}", style="dim")
        table.add_row(Text.assemble(" " * indent, mark), what)
    return table


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _left(until: int, now: float) -> str:
    days = (until - now) / _DAY
    return f"{days:.1f} days left" if days >= 0 else f"expired {-days:.1f} days ago"


def _age(seconds: float) -> str:
    for unit, length in (("days", _DAY), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
