from __future__ import annotations

import gzip
import json
import re
import sys
from types import SimpleNamespace

import pytest

from services.cli.__main__ import main
from services.core.codec import summary_from_json
from tests.support.registers import write_register
from tests.support.values.exchange_records import PERSONAL

STAMP = "a whole number of milliseconds since 1970, from 2000 to 2100"
MANY = (
    "securityServerType must be Client or Producer; clientMemberCode must be text of at most 255 characters without control characters; "
    "statusCode must be a whole number, not negative; succeeded is missing, it must be true or false"
)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``peyvand exchange`` with arguments, on a terminal wide enough for the whole table."""
    monkeypatch.setenv("COLUMNS", "400")

    def peyvand(*arguments):
        monkeypatch.setattr(sys, "argv", ["peyvand", "exchange", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return SimpleNamespace(exit_code=ended.value.code, stdout=out, stderr=err, output=out + err)

    return peyvand


def line(record):
    return json.dumps(record, separators=(",", ":")).encode()


def summaries(result):
    assert result.exit_code == 0, result.output
    return [summary_from_json(text) for text in result.stdout.splitlines()]


def test_the_real_sample_in_every_form(run, data_file):
    """NDJSON and the raw answer give the same summaries: 2,615 exchanges, 710 of them meta, all paired and OK."""
    plain, answer = (run(data_file(f"opmon_dev_5230.{end}"), "--json") for end in ("ndjson", "response.dat"))
    assert plain.stdout == answer.stdout
    found = summaries(plain)
    assert sum(s.count for s in found) == sum(s.ok for s in found) == 2615
    assert sum(s.count for s in found if s.meta) == 710
    both = summaries(run(data_file("opmon_dev_5230.ndjson"), data_file("opmon_dev_5230.response.dat"), "--json"))
    assert [s.count for s in both] == [s.count for s in found]


def test_logs_are_shown_as_a_table(run, data_file):
    """The table has a row per pair, totals with meta services apart, and how many records were read and unpaired."""
    result = run(data_file("xroadmetrics_raw_messages_batch_1.json"))
    assert result.exit_code == 0
    rows: list[list[str]] = []
    for text in result.stdout.splitlines():
        cells = re.split(r"  +", text.strip())
        if len(cells) > 1:
            rows.append(cells)
        elif rows and rows[-1][0] not in ("total", "meta services, counted apart"):
            rows[-1][0] += cells[0]  # a party's identifiers continue over several lines

    def numbers(part: str) -> list[str]:
        (row,) = [row for row in rows if part in row[0]]
        return row[1:5]

    assert numbers("→ LTT/TEST/TEST2/SUB3/payloadgen") == ["3", "3", "0 / 0", "1"]
    assert numbers("→ LTT/TEST/TEST2/SUB2/doesnotexist") == ["1", "0", "0 / 1", "1"]
    assert numbers("?→ ?") == ["2", "0", "2 / 0", "2"]
    assert numbers("→ PLAYGROUND/ORG/2908758-4/getSecurityServerOperationalDatameta") == ["1", "1", "0 / 0", "0"]
    assert rows[-2][:5] == ["total", "10", "6", "3 / 1", "6"]
    assert rows[-1] == ["meta services, counted apart", "2", "1", "1 / 0", "1", rows[-1][5]]
    assert "17 records read, 0 seen before, 0 rejected: 12 exchanges, 5 logged by both sides, 7 by one" in result.stdout


def test_an_empty_answer_is_no_fault(run, data_file):
    """Zero records are shown as zero."""
    result = run(data_file("xroad_metrics_response2.dat"))
    assert result.exit_code == 0
    assert "0 records read" in result.stdout
    assert summaries(run(data_file("xroad_metrics_response2.dat"), "--json")) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("xroad_metrics_client_proxy_ssl_auth_failed.dat", "Server.ClientProxy.SslAuthenticationFailed"),
        ("xroad_metrics_server_proxy_access_denied_failed.dat", "Server.ServerProxy.AccessDenied"),
    ],
)
def test_a_soap_fault_is_the_sources(run, data_file, name, code):
    """A SOAP fault in place of an answer is an error of the source, reported with its code."""
    path = data_file(name)
    result = run(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{path}: the security server answered with fault {code}\nthe exchange log is refused: 1 fault\n"
    )


def test_the_register_names_agencies_and_links(run, tmp_path, both):
    """members.csv and exchange.csv turn identifiers into agencies and the link; the policy gives the slot."""
    register = write_register(
        tmp_path / "register",
        members_csv="member,agency\nIR/GOV/100,land-registry\nIR/GOV/200/registry,civil-registry\n",
        exchange_csv="client,service,link\nIR/GOV/100/desk,IR/GOV/200/registry/person,deed-civil\n",
        policy_yaml=("slot_seconds: 300", "slot_seconds: 60"),
    )
    log = tmp_path / "log.ndjson"
    log.write_bytes(b"\n".join(map(line, both())))
    [found] = summaries(run(log, "--register", register, "--json"))
    assert (found.consumer, found.provider, found.link) == ("land-registry", "civil-registry", "deed-civil")
    assert (found.slot_start, found.count, found.orphans) == (1_699_999_980, 1, 0)
    table = run(log, "--register", register).stdout
    assert "land-registry → civil-registry" in table
    assert "Land Registry → Civil Registry" in table


def test_a_table_without_a_header(run, tmp_path, both):
    """With --columns a file of bare rows is read; a name given twice is one sentence."""
    records = both()
    log = tmp_path / "log.tsv"
    log.write_text("\n".join("\t".join(str(value) for value in record.values()) for record in records))
    [found] = summaries(run(log, "--columns", ",".join(records[0]).lower(), "--json"))
    assert (found.count, found.ok, found.orphans) == (1, 1, 0)
    result = run(log, "--columns", "succeeded,Succeeded")
    assert (result.exit_code, result.stderr) == (1, "peyvand: --columns succeeded,Succeeded: a column is there twice\n")


def test_the_span_is_settable(run, tmp_path, both):
    """Sides further apart than --span-days do not pair."""
    ours, theirs = both()
    theirs = {
        name: value + 86_400_000 * 2 if name.endswith("Ts") and value > 10**12 else value
        for name, value in theirs.items()
    }
    log = tmp_path / "log.ndjson"
    log.write_bytes(b"\n".join(map(line, (ours, theirs))))
    assert sum(s.count for s in summaries(run(log, "--json"))) == 1
    assert sum(s.count for s in summaries(run(log, "--span-days", "1.5", "--json"))) == 2


def bad_files(raw):
    """Return ten bad logs: name, content, and every fault as it must be reported."""
    good = line(raw())

    def of(*records):
        return b"\n".join(records) + b"\n"

    def told(record, reason, number=1):
        return f":{number}: {reason} (line of {len(record)} bytes)"

    text_time = line(raw(requestInTs="1700000000000"))
    seconds = line(raw(requestInTs=1_700_000_000, responseOutTs=1_700_000_001))
    nothing = line({"messageUserId": "CANARY"})
    many = line(raw(securityServerType="server", succeeded=None, clientMemberCode=["CANARY"], statusCode=-1))
    bad_array = [raw(), raw(succeeded="yes"), 5, raw(requestSize=1.5)]
    array_bytes = [len(json.dumps(record)) for record in bad_array]
    return [
        ("one.ndjson", of(good, text_time), [told(text_time, f"requestInTs must be {STAMP}", 2)]),
        ("cut.ndjson", of(good, good[:200]), [":2:201: it is not JSON (line of 200 bytes)"]),
        ("list.ndjson", of(good, b"[1]"), [told(b"[1]", "a record must be a JSON object", 2)]),
        ("cut.gz", gzip.compress(of(good) * 50, mtime=0)[:-9], [": its gzip data end early"]),
        ("array.json", b'[{"messageUserId":"CANARY"},', [": it is not JSON from line 1, column 29 on"]),
        # five with several faults
        (
            "seconds.ndjson",
            of(good, seconds),
            [told(seconds, f"requestInTs must be {STAMP}; responseOutTs must be {STAMP}", 2)],
        ),
        (
            "nothing.ndjson",
            of(nothing),
            [
                told(
                    nothing,
                    "securityServerType is missing, it must be Client or Producer; "
                    f"requestInTs is missing, it must be {STAMP}; responseOutTs is missing, it must be {STAMP}; "
                    "succeeded is missing, it must be true or false",
                ),
            ],
        ),
        (
            "many.ndjson",
            of(many),
            [told(many, MANY)],
        ),
        (
            "lines.ndjson",
            of(b"CANARY", good, b'{"messageUserId":CANARY}', b"\xff"),
            [
                ":1:1: it is not JSON (line of 6 bytes)",
                ":3:18: it is not JSON (line of 24 bytes)",
                ":4:1: it is not JSON (line of 1 bytes)",
            ],
        ),
        (
            "records.json",
            json.dumps(bad_array).encode(),
            [
                f": record 2: succeeded must be true or false ({array_bytes[1]} bytes)",
                ": record 3: a record must be a JSON object (1 bytes)",
                f": record 4: requestSize must be a whole number of bytes, from 0 to 1 TiB ({array_bytes[3]} bytes)",
            ],
        ),
    ]


@pytest.mark.parametrize("number", range(10))
def test_a_bad_file_is_refused_with_every_fault(run, raw, tmp_path, monkeypatch, number):
    """Each bad log is refused whole: exit code 1, nothing on stdout, every fault by place, and no file left behind."""
    name, content, told = bad_files(raw)[number]
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path / "logs")
    (tmp_path / "logs" / name).write_bytes(content)
    result = run(name, "--json")
    count = "1 fault" if len(told) == 1 else f"{len(told)} faults"
    assert result.stderr.splitlines() == [*(name + fault for fault in told), f"the exchange log is refused: {count}"]
    assert (result.exit_code, result.stdout) == (1, "")
    assert "CANARY" not in result.output
    assert [path.name for path in tmp_path.rglob("*")] == ["logs", name]


def test_faults_of_all_files_are_reported_at_once(run, raw, tmp_path):
    """One bad or missing log refuses all, with every fault of every file."""
    good, bad, missing = (tmp_path / name for name in ("good.ndjson", "bad.ndjson", "missing.ndjson"))
    good.write_bytes(line(raw()))
    bad.write_bytes(b"{")
    result = run(good, bad, missing, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{bad}:1:2: it is not JSON (line of 1 bytes)",
        f"{missing}: No such file or directory",
        "the exchange log is refused: 2 faults",
    ]


def test_bad_lines_can_be_skipped(run, raw, tmp_path):
    """With --skip-bad the faults are reported and the rest is summarised."""
    log = tmp_path / "log.ndjson"
    log.write_bytes(line(raw()) + b"\n{\n" + line(raw(xRequestId="x-2")))
    result = run(log, "--json", "--skip-bad")
    assert result.stderr == f"{log}:2:2: it is not JSON (line of 1 bytes)\n"
    assert sum(s.count for s in summaries(result)) == 2


def test_records_of_one_id_beyond_its_limit_are_reported_by_place(run, raw, tmp_path):
    """A record beyond the limit per request id is a fault like any other, with a length if it is a line."""
    many = [line(raw(messageId=f"m-{number}")) for number in range(65)]
    of_lines, array = tmp_path / "log.ndjson", tmp_path / "log.json"
    of_lines.write_bytes(b"\n".join([*many[:64], b"{", many[64], b"{"]))
    array.write_bytes(b"[" + b",".join(many) + b"]")
    reason = "64 other records have its xRequestId"
    result = run(of_lines, "--json", "--skip-bad")
    assert result.stderr.splitlines() == [
        f"{of_lines}:65:2: it is not JSON (line of 1 bytes)",
        f"{of_lines}:66: {reason} (line of {len(many[64])} bytes)",
        f"{of_lines}:67:2: it is not JSON (line of 1 bytes)",
    ]
    assert sum(s.count for s in summaries(result)) == 64
    result = run(array, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"{array}: record 65: {reason}", "the exchange log is refused: 1 fault"]


def test_a_bad_register_is_refused(run, raw, tmp_path):
    """A register with a fault stops the command before any log is read."""
    register = write_register(tmp_path / "register", members_csv="member,agency\nIR/GOV/100,nobody\n")
    log = tmp_path / "log.ndjson"
    log.write_bytes(line(raw()))
    result = run(log, "--register", register)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "members.csv:2" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--json", "--skip-bad"]])
def test_nothing_personal_is_shown(run, raw, tmp_path, arguments):
    """No output shows a canary of any personal field, from a good line or from a bad one."""
    personal = dict.fromkeys(PERSONAL, "CANARY")
    log = tmp_path / "log.ndjson"
    log.write_bytes(line(raw() | personal) + b"\n" + line(raw(succeeded=3) | personal) + b"\n" + line(personal)[:-5])
    for content in (log.read_bytes(), log.read_bytes().splitlines()[0]):
        log.write_bytes(content)
        assert "CANARY" not in run(log, *arguments).output


def test_identifiers_are_shown_as_they_are(run, raw, tmp_path):
    """Markup in an identifier is text, not markup."""
    log = tmp_path / "log.ndjson"
    log.write_bytes(line(raw(serviceCode="[bold]x[/bold]")))
    assert "registry/[bold]x[%2Fbold]" in run(log).stdout
