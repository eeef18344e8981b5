"""Reports of probes explain the result at any width and show no secrets."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from services.cli.render.probe import ProbeRun, run_line, run_report
from services.core.model.measurement import Phases, Target
from services.core.model.outcome import Reason
from services.core.model.probe import Expect, HeaderExpectation, JsonExpectation, Patterns, Probe
from services.prober.assignments import Assignment
from services.prober.attempt import ProbeResult
from services.prober.checks import Judgement
from services.prober.checks.judgement import judge
from services.prober.expected.compiler import compile_expectations
from services.prober.expected.expectations import Expectations
from services.prober.observation import (
    Cause,
    CertificateFacts,
    DnsFacts,
    Failure,
    Observation,
    Phase,
    RpcFacts,
    StepFacts,
)
from services.prober.scheduling.schedule import ScheduleEntry

DAY = 86_400
NOW = 1_700_000_000
EXPECT = Expect(
    status=(200,),
    headers={"X-Token": HeaderExpectation(must="^[a-z-]+$", optional=True)},
    body=Patterns(must=("clear",), must_not=("error",)),
    json=(JsonExpectation("$.id", equals="personal-1"), JsonExpectation("$.clear", type="boolean")),
)
GOOD = Observation(
    time=NOW,
    duration=0.1,
    phases=Phases(resolve=0.001, connect=0.002, tls=0.01, processing=0.08, transfer=0.001),
    latency=0.081,
    status=200,
    headers=(("x-token", "hidden-value"),),
    body=b'{"id": "personal-2", "clear": true}',
    raw_length=20,
    body_length=35,
    certificate=CertificateFacts(
        subject="CN=server",
        names=tuple(f"n{number}.example" for number in range(10)),
        not_before=NOW - DAY,
        not_after=NOW + 30 * DAY,
        earliest_expiry=NOW + 10 * DAY,
        chain_expiry=NOW + 20 * DAY,
    ),
    redirects=2,
    addresses=("192.0.2.1", "192.0.2.2"),
    protocol="HTTP/1.1",
    tls_version="TLSv1.3",
)


def probed(observation: Observation, expect: Expect = EXPECT, *, judgement: Judgement | None = None) -> ProbeRun:
    definition = Probe("inquiry", "http", expect=expect)
    expected = compile_expectations(definition, {}, latency=2.0, max_age=None)
    expected = replace(expected, steps=(Expectations(),) * len(observation.steps))
    item = Assignment(
        ScheduleEntry(Target("deed-civil"), 5.0),
        definition,
        "land",
        "civil",
        "https://x/?id=${id}",
        ({"id": "personal-1"}, {"id": "personal-2"}),
        2.0,
        None,
    )
    return ProbeRun(item, ProbeResult(observation, judgement or judge(observation, expected), expected), NOW)


def picture(seen: ProbeRun, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(run_report(seen, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_everything_that_explains_a_probe_is_there() -> None:
    """A report has both agencies, outcome, phases, addresses, protocol, redirects, lengths, certificate and checks."""
    text = picture(probed(GOOD))
    for part in (
        "deed-civil  land asks civil",
        "http probe inquiry at https://x/?id=${id}",
        "INVALID  JSON  $.id differs from what is expected",
        "81.0 ms, limit 2,000.0 ms",
        "192.0.2.1, 192.0.2.2",
        "HTTP/1.1 over TLSv1.3",
        "20 bytes, 35 decoded",
        "CN=server",
        "n7.example and 2 more",
        "2023-11-13 22:13 UTC to 2023-12-14 22:13 UTC, 30.0 days left",
        "2023-11-24 22:13 UTC, 10.0 days left",
        "trusted until 2023-12-04 22:13 UTC, 20.0 days left",
        "✓ status is 200",
        "✓ header x-token matches ^[a-z-]+$, if it is there",
        "✓ body does not match error",
        "✓ body matches clear",
        "✗ $.id is as expected  JSON: $.id differs from what is expected",
        "✓ $.clear is of type boolean",
        "✓ answered within 2000 ms  81.0 ms",
    ):
        assert part in text


def test_30_neither_values_nor_params_are_shown() -> None:
    """Values of the body and of headers, expected values and params are in neither report nor line."""
    text = picture(probed(GOOD)) + str(run_line(probed(GOOD), 10))
    assert "personal" not in text
    assert "hidden-value" not in text


def test_phases_are_drawn_in_proportion() -> None:
    """The longest phase has the longest bar, each begins where the one before ended, and skipped ones are absent."""
    seen = Observation(NOW, 0.1, Phases(connect=0.025, processing=0.05, transfer=0.025), latency=0.07, status=200)
    rows = [row for row in picture(probed(seen)).splitlines() if "━" in row]
    assert [row.split()[0] for row in rows] == ["connect", "processing", "transfer"]
    bars = [(row.index("━"), row.count("━")) for row in rows]
    lengths = [length for _, length in bars]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=2)
    assert bars[1][0] == bars[0][0] + bars[0][1]
    assert bars[2][0] == bars[1][0] + bars[1][1]


@pytest.mark.parametrize("width", [20, 27, 40, 80, 200])
def test_it_fits_any_terminal(width: int) -> None:
    """No line is wider than the terminal, and bars are left out where there is no room for them."""
    rows = picture(probed(GOOD), width).splitlines()
    assert max(map(len, rows)) <= width
    assert any("━" in row for row in rows) == (width > 28)


def test_without_an_answer_nothing_is_judged() -> None:
    """An untrusted certificate is shown with the reason, and every expectation as not judged."""
    failure = Failure(Phase.TLS, Cause.CERTIFICATE_EXPIRED, "the certificate expired on 2023-11-01")
    certificate = CertificateFacts("CN=old", (), NOW - 40 * DAY, NOW - 2 * DAY, NOW - 2 * DAY)
    text = picture(
        probed(Observation(NOW, 0.1, Phases(connect=0.01, tls=0.02), failure=failure, certificate=certificate))
    )
    assert "NOT_CONNECTED  CERTIFICATE_EXPIRED" in text
    assert "expired 2.0 days ago" in text
    assert "not trusted: the certificate expired on 2023-11-01" in text
    assert "✗ an answer came" in text
    assert "· status is 200" in text
    assert "✓" not in text


def test_a_journey_is_shown_step_by_step() -> None:
    """Each step has its line and its checks. The failure of the whole journey follows."""
    step = StepFacts("login", GOOD)
    journey = Observation(
        NOW, 0.3, GOOD.phases, steps=(step, step), failure=Failure(Phase.TRANSFER, Cause.CAPTURE, "no value for token")
    )
    rows = picture(probed(journey, Expect())).splitlines()
    assert "✓ step 1: login  81.0 ms, status 200, 2 redirects" in [row.rstrip() for row in rows]
    assert "✓ step 2: login  81.0 ms, status 200, 2 redirects" in [row.rstrip() for row in rows]
    assert any(row.startswith("✗ the journey could go on to its end  CAPTURE: no value for token") for row in rows)
    assert any(row.startswith("· answered within") for row in rows)


@pytest.mark.parametrize(
    ("observation", "told"),
    [
        (Observation(NOW, 0.1, Phases(connect=0.01), latency=0.05, rpc=RpcFacts("OK", "SERVING")), "OK SERVING"),
        (
            Observation(
                NOW, 0.1, Phases(processing=0.01), latency=0.05, dns=DnsFacts("NOERROR", ("a",), truncated=True)
            ),
            "NOERROR: 1 answers, 0 of authority, truncated",
        ),
    ],
)
def test_other_kinds_show_their_own_facts(observation: Observation, told: str) -> None:
    """The facts include the status of a call and the records of a name server."""
    assert told in picture(probed(observation, Expect()))


def test_what_was_never_begun_has_no_checks() -> None:
    """A crash of the prober itself shows only a headline."""
    crash = Judgement(Reason.PROBER_ERROR, "the probe itself failed: KeyError")
    assert picture(probed(Observation(NOW, 0.0), judgement=crash)).count("\n") == 3


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (None, ["deed-civil    INVALID           81.0 ms  JSON: $.id differs from what is expected  land asks civil"]),
        (120, ["deed-civil    INVALID           81.0 ms  JSON: $.id differs from what is expected  land asks civil"]),
        (80, ["deed-civil    INVALID           81.0 ms", "  JSON: $.id differs from what is expected"]),
        (30, ["deed-civil    INVALID", "  JSON: $.id differs from what is expected"]),
        (20, ["deed-civil", "  INVALID", "  JSON: $.id differs from what is expected"]),
    ],
)
def test_one_line(columns: int | None, lines: list[str]) -> None:
    """A line has id, outcome, latency, reason, detail and who asks whom; a terminal without room for all has the reason."""
    text = run_line(probed(GOOD), 12, columns)
    assert [line.rstrip() for line in text.plain.splitlines()] == lines


def test_a_good_answer_takes_one_line() -> None:
    """Where who asks whom has no room, the line of a good answer goes without it."""
    good = probed(GOOD, Expect(status=(200,)))
    assert run_line(good, 12, 45).plain == "deed-civil    OK                81.0 ms"
