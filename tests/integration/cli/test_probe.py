"""`peyvand probe` against real servers, in a pipe and in a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import termios
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.forked import ForkedProcess, run
from tests.support.registers import PROBES, write_register
from tests.support.servers.http_server import Request, answer, says, serving
from tests.support.waiting import DEADLINE


async def _government(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer an inquiry with the body of the request; /broken fails."""
    if request.path.startswith("/broken"):
        writer.write(answer(503))
    else:
        writer.write(answer(200, request.body or b'{"national_id": "1"}', {"X-Private": "s3cr3t"}))


async def peyvand(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the command and return its exit code, output and errors."""
    done = await asyncio.to_thread(run, "services.cli", *arguments, environment={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


async def in_terminal(columns: int, *arguments: str) -> str:
    """Run the command in a real terminal with this many columns and return what it shows."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    coloured = {**environment, "TERM": "xterm-256color"}
    process = ForkedProcess("services.cli", *arguments, stdout=Path(os.ttyname(follower)), environment=coloured)

    def read() -> bytes:
        written = b""
        with suppress(OSError):  # the terminal is gone once no process has it open
            while part := os.read(leader, 65536):
                written += part
        return written

    reading = asyncio.ensure_future(asyncio.to_thread(read))
    code = await asyncio.to_thread(process.wait, DEADLINE)
    os.close(follower)
    written = (await reading).decode()
    os.close(leader)
    assert code == 0, written
    return written


async def test_one_target_is_explained(tmp_path: Path) -> None:
    """A single target is explained at length, without colours in a pipe; a failed target does not change the exit code."""
    async with serving(_government) as server:
        folder = write_register(tmp_path / "r", base=server.url(""))
        code, out, err = await peyvand("probe", str(folder), "--link", "deed-civil")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert out.startswith("deed-civil  land-registry asks civil-registry\n")
    assert "✓ $.national_id is as expected" in out
    assert "━" in out
    assert "0000000000" not in out
    assert "s3cr3t" not in out


async def test_a_definition_at_any_target(tmp_path: Path) -> None:
    """A definition runs at a target given by hand, with params typed as in probes.yaml; a failure has exit code 0."""
    async with serving(_government) as server:
        folder = write_register(tmp_path / "r", base=server.url(""))
        single = ("--probe", "inquiry", "--target", server.url("/${way}"), "--param", "national_id=007")
        well = await peyvand("probe", str(folder), *single, "--param", "way=fine", "--json")
        broken = await peyvand("probe", str(folder), *single, "--param", "way=broken")
        assert [request.path for request in server.requests] == ["/fine", "/broken"]
        assert server.requests[0].body == b'{"national_id": "007"}'
    assert json.loads(well[1])["outcome"] == "OUTCOME_OK"
    assert json.loads(well[1])["endpoint"] == "inquiry"
    assert (broken[0], "NOT_ANSWERED  SERVER_ERROR  status 503" in broken[1]) == (0, True)


async def test_the_record_whose_turn_it_is_or_another(tmp_path: Path) -> None:
    """Of several test records the one of this slot, or the chosen one, is requested and named; others are errors."""
    async with serving(_government) as server:
        folder = write_register(tmp_path / "r", base=server.url(""))
        links = (folder / "links.csv").read_text(encoding="utf-8")
        known = '"{""national_id"": ""0000000002""}"'
        assert known in links
        several = '"[{""national_id"": ""0000000002""}, {""national_id"": ""0000000003""}]"'
        (folder / "links.csv").write_text(links.replace(known, several), encoding="utf-8")
        link = ("probe", str(folder), "--link", "permit-tax")
        turn, chosen, none = [await peyvand(*link, *more) for more in ((), ("--record", "2"), ("--record", "3"))]
        bodies = [json.loads(request.body)["national_id"] for request in server.requests]
    assert (turn[0], chosen[0], none[0]) == (0, 0, 1)
    assert f", test record {int(bodies[0]) - 1} of 2\n" in turn[1]
    assert bodies[1:] == ["0000000003"]
    assert "no test record --record 3: permit-tax has 2" in none[2]


async def test_several_are_explained_when_asked(tmp_path: Path) -> None:
    """With --explain each of several targets is explained, and the summary comes last."""
    async with serving(_government) as server:
        folder = write_register(tmp_path / "r", base=server.url(""), links_csv=(",500,,", ",2400,,"))
        _, out, _ = await peyvand("probe", str(folder), "--link", "deed-civil", "--link", "bus", "--explain")
    assert out.count("✓ an answer came") == 2
    assert out.splitlines()[-1].startswith("2 probed: 2 OK")


async def test_31_what_cannot_be_judged_is_not_explained(tmp_path: Path) -> None:
    """If an answer would take a minute to judge, the command ends after its timeout and prints what it observed."""
    body = b"<r>%s</r>" % b"".join(b'<a b="%d"/>' % number for number in range(40_000))
    async with serving(says(body=body)) as server:
        folder = write_register(tmp_path / "r", base=server.url(""))
        with (folder / "probes.yaml").open("a", encoding="utf-8") as probes:
            expect = "{xml: [{path: '//a[not(@b = preceding::a/@b)]'}]}"
            probes.write(f"\nendless:\n  kind: http\n  timeout: 4s\n  expect: {expect}\n")
        code, out, err = await peyvand("probe", str(folder), "--probe", "endless", "--target", server.url())
    assert (code, err) == (0, "")
    # The processor time that the judge gets within 4 s decides whose fault it is.
    assert re.search(
        "PROBER_ERROR  the answer could not be judged in|CHECK_ERROR  judging the answer did not end in", out
    )
    assert re.search(r"status +200 *\n", out)
    assert "✓" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--probe", "inquiry"], "--probe NAME needs --target URL"),
        (["--target", "http://h"], "--probe NAME needs --target URL"),
        (["--probe", "page", "--target", "http://h", "--link", "bus"], "and no --link"),
        (["--probe", "pages", "--target", "http://h"], "--probe pages is not in probes.yaml, which has: inquiry, page"),
        (["--probe", "inquiry", "--target", "http://h/${x}"], "needs --param national_id=… and --param x=…"),
        (["--probe", "page", "--target", "ftp://h"], "does not begin with http:// or https://"),
        (["--probe", "page", "--target", "http://h", "--param", "x"], "--param x is not NAME=VALUE"),
        (["--json", "--explain"], "--json and --explain cannot go together"),
        (["--vantage", "west"], "--vantage west is not in the register's policy, which has: north, south"),
    ],
)
async def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Input that cannot be probed is refused with one sentence and exit code 1."""
    code, out, err = await peyvand("probe", str(write_register(tmp_path / "r")), *arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("columns", [40, 80, 160])
async def test_in_a_terminal(tmp_path: Path, columns: int) -> None:
    """In a terminal there are colours, no line is wider than it, and a reason without room has a line of its own."""
    async with serving(_government) as server:
        probes = PROBES.replace("page:\n  kind: http", "page:\n  kind: http\n  expect: {status: [299]}")
        folder = write_register(tmp_path / "r", base=server.url(""), probes_yaml=probes)
        listed = await in_terminal(columns, "probe", str(folder))
        alone = await in_terminal(columns, "probe", str(folder), "--link", "bus")
    assert "\x1b[31m" in listed
    plain = [_without_colours(row) for row in listed.splitlines()]
    assert len(plain) == (10 if columns == 160 else 14)
    assert sum("STATUS: status 200 instead of 299" in row for row in plain) == 4
    assert all(len(row) <= columns for row in plain[:-1])
    rows = [_without_colours(row) for row in alone.splitlines()]
    assert max(map(len, rows)) <= columns
    assert any(row.startswith("✗ status is 299") for row in rows)


def _without_colours(text: str) -> str:
    while "\x1b[" in text:
        before, _, after = text.partition("\x1b[")
        text = before + after.partition("m")[2]
    return text
