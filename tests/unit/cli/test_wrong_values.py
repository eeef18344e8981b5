"""Five wrong values of every option and argument each give one clear sentence and no traceback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.up import up
from services.core.bus.roles import write_users
from services.core.errors import InputError, PeyvandError
from tests.support.cases.api.server import Api
from tests.support.cases.backups import write_backup
from tests.support.cases.datasets.open_data import publish
from tests.support.cases.datasets.rows import sealed_example
from tests.support.commands import _command
from tests.support.nats import Nats
from tests.support.registers import write_register

FOLDERS = ("garbage", "/proc/x", "/dev/null", "/dev/null/x", "")
NEW_FOLDERS = ("/proc/x", "/dev/null", "/dev/null/x", "/sys/x", "/proc/1/x")
FILES = ("garbage", "/proc/x", "/dev/null/x", "/", "")
NEW_FILES = ("/proc/x", "/dev/null/x", "/sys/x", "/", "")
INTEGERS = ("garbage", "-1", "1.5", "99999999999", "")
NUMBERS = ("garbage", "-1", "nan", "inf", "")
WORDS = ("garbage", "-1", "سازمان", "a b", "")
NAMES = ("a/b", "-1", "سازمان", "a b", "")
ROUNDS = ("A b", "a/b", "-1", "..", "دور")
LINES = ("a\nb", "a\tb", "\x00", "\x1b[31m", "a" * 201)
TIMES = ("garbage", "1405-01-01", "۱۴۰۵/۰۱/۰۱", "2026-02-30", "9999-01-01")
DURATIONS = ("garbage", "-1", "1 day", "nan", "")
PLACES = ("garbage", "127.0.0.1:80000", "127.0.0.1:-1", "http://127.0.0.1:1", "")
SERVERS = ("garbage", "http://127.0.0.1:1", "nats://127.0.0.1:80000", "nats://[::1", "tls://a:1,nats://b:1")
PAIRS = ("garbage", "-1", "=x", "national_id", "")
SEEDS = ("garbage", "/proc/x", "/dev/null", "/dev/null/x", "-1")
WRONG = {
    "--against": FOLDERS,
    "--key": ("garbage", "/proc/x", "/", "a+b+c", "-1"),
    "--new-key": FILES,
    "--seen": NEW_FILES,
    "--title-en": LINES,
    "--title-fa": LINES,
    "--sign": FILES,
    "archive key file": NEW_FILES,
    "archive public-key file": FILES,
    "archive key name": ("", "a b", "a+b", "a\tb", "\u2028"),
    "day": ("garbage", "1405-01-01", "2026-02-30", "-1", "/proc/x"),
    "dataset": FOLDERS,
    "--api": PLACES,
    "opendata export out": ("/proc/x", "/dev/null", "/dev/null/x", "/sys/x", "/etc"),
    "opendata export --from": (*TIMES[:4], "2199-01-01"),
    "opendata export --to": (*TIMES[:4], "1901-01-01"),
    "--archive": ("/proc/x", "/dev/null", "s9://x", "", "/dev/null/x"),
    "--at": TIMES,
    "--authority": FILES,
    "--base-port": ("garbage", "-1", "0", "80000", ""),
    "--bus": NAMES,
    "--by": LINES,
    "--column": (*PAIRS[:3], "where=domain", ""),
    "--columns": ("garbage", "-1", "سازمان", ",", "messageId,messageId"),
    "--credentials": SEEDS,
    "--corrects": ROUNDS,
    "--data": NEW_FOLDERS,
    # An engine that is not running is asked late.
    "round verify --engine": ("", "dask", "dask://", "spark://127.0.0.1:1", "garbage"),
    "--engine": ("", "dask", "dask://", "dask://127.0.0.1:1", "spark://127.0.0.1:1"),
    "--epoch": TIMES,
    "--exchanges": FILES,
    "--faults": NUMBERS,
    "--first-port": ("garbage", "-1", "80000", "65520", ""),
    "--for": DURATIONS,
    "--from": TIMES,
    "--health": PLACES,
    "--limit": INTEGERS,
    "--link": WORDS,
    "--measurements": FILES,
    "--method": ("garbage", "-1", "99", "4.0", "ف"),
    "--nats": SERVERS,
    "--out": NEW_FOLDERS,
    "--param": PAIRS,
    "--previous": FOLDERS,
    "--probe": WORDS,
    "--reason": LINES,
    "--record": INTEGERS,
    "--register": FOLDERS,
    "--replace": (*WORDS[:4], "apis"),
    "--replicas": INTEGERS,
    "--scenario": WORDS,
    "--seed": ("garbage", "1.5", "0x1", str(1 << 63), ""),
    "--sequence": ("garbage", "-1", "1.5", "1e3", ""),
    "--slot": ("garbage", "-1", "1s", "2.5s", ""),
    "--sources": FILES,
    "--span-days": NUMBERS,
    "--agency": (*WORDS[:4], "nobody"),
    "--budget": NUMBERS,
    "--kind": (*WORDS[:4], "silent"),
    "--language": WORDS,
    "--note": (*LINES[:4], ""),
    "--step": ("garbage", "-1", "1.1h", "7h", ""),
    "--timezone": ("garbage", "-1", "سازمان", "a b", "Asia/Nowhere"),
    "findings --link": (*WORDS[:4], "no-link"),
    "findings counts": ("garbage", "/proc/x", "/dev/null/x", "/", "/dev/null"),
    "finding": ("garbage", "-1", "سازمان", "a b", ""),
    "--storage": ("garbage", "-1", "nan", "1e99TiB", "20 GiB more"),
    "--store": ("garbage", "/proc/x", "/dev/null/x", "-1", "/proc/1/x"),
    "--target": ("garbage", "http://", "http://127.0.0.1:80000/", "ftp://127.0.0.1/", ""),
    "--to": TIMES,
    "--traffic": NUMBERS,
    "--vantage": NAMES,
    "--window": INTEGERS,
    "--why": (*LINES[:4], ""),
    "attribute": WORDS,
    "before": FOLDERS,
    "history entity": ("-1", "سازمان", "a b", "a/b", "a" * 64),  # an entity that left the register has a history
    "bus backup folder": NEW_FOLDERS,
    "bus remake stream": ("garbage", "KV_other", "indicator", "a b", "-1"),
    "bus users --out": NEW_FILES,
    "directory": FOLDERS,
    "entity": (*WORDS[:4], "tax-offices"),
    "files": FILES,
    "folder": FOLDERS,
    "bus users folder": NEW_FOLDERS,
    "kind": (*WORDS[:4], "links"),
    "new": FOLDERS,
    "now": FOLDERS,
    "old": FOLDERS,
    "out": FOLDERS,
    "round freeze --from": TIMES,
    "round freeze --to": TIMES,
    "round freeze name": ROUNDS,
    "what": WORDS,
}
"""Five wrong values by parameter, or by command and parameter. An option that takes any text is wrong in other ways."""

SANDBOX = {"--sandbox": "", "--data": "{data}"}
BY_HAND = {"directory": "{register}", "--probe": "page", "--target": "http://127.0.0.1:1/"}
FINDING = {"finding": "0123456789abcdef", "--note": "a", "--register": "{register}"}
BESIDE = {
    "up": {"--register": "{register}", "--data": "{data}"},
    **{f"up --{name}": SANDBOX for name in ("scenario", "seed", "slot", "faults", "traffic", "base-port")},
    "probe": {"directory": "{register}"},
    **{f"probe --{name}": BY_HAND for name in ("probe", "target", "param")},
    "score": {"--register": "{register}", "--measurements": "{empty}", "--at": "2026-09-21"},
    **{f"score --{name}": {"--archive": "{dataset}"} for name in ("archive", "method")},
    "score --engine": {"--archive": "{dataset}", "--register": "{register}", "--at": "2026-09-21"},
    "dump": {"what": "measurements", "--credentials": "{seeds}"},
    "exchange": {"files": "{empty}"},
    "exchange --window": {"--api": "{api}"},
    "exchange --api": {},
    "tabulate": {"attribute": "sector", "--api": "{api}"},
    **{f"{name} entity": {"kind": "provider", "--api": "{api}"} for name in ("indicator", "explain", "history")},
    **{f"history --{name}": {"--api": "127.0.0.1:1"} for name in ("from", "to")},
    **{f"findings {name}": {"counts": "{list}"} for name in ("counts", "--step", "--timezone", "--budget")},
    **{f"finding {verb}": FINDING for verb in ("confirm", "dismiss")},
    "register check": {"directory": "{register}"},
    "register publish": {"directory": "{register}", "--credentials": "{seeds}"},
    "register log": {"--credentials": "{seeds}"},
    "register diff": {"old": "{register}", "new": "{register}"},
    "register import": {"kind": "endpoints", "files": "{list}", "--out": "{data}"},
    "register import --against": {"kind": "xroad", "files": "{clients}"},
    "register import --authority": {"kind": "xroad", "files": "https://127.0.0.1:1/", "--out": "{data}"},
    "archive key": {"name": "a", "file": "{users}"},
    "archive change-key": {"dataset": "{dataset}", "--sign": "{signer}", "--new-key": "{next_signer}"},
    "archive verify": {"dataset": "{dataset}"},
    "archive prove": {"day": "2026-09-21", "dataset": "{dataset}"},
    "archive witness": {"dataset": "{dataset}", "--key": "{key}", "--sign": "{signs}", "--seen": "{users}"},
    "round freeze": {
        "name": "a",
        "--archive": "{dataset}",
        "--sign": "{signer}",
        "--register": "{register}",
        "--out": "{data}",
        "--from": "2026-09-21",
        "--to": "2026-09-22",
        "--corrects": "b",
        "--why": "because",
    },
    "round verify": {"folder": "{data}"},
    "round list": {},
    "round compare": {"before": "{data}", "now": "{data}"},
    "opendata export": {"out": "{export}", "--archive": "{published}"},
    "bus init": {"--credentials": "{seeds}"},
    "bus remake": {"stream": "KV_indicator", "--nats": "{nats}", "--credentials": "{seeds}"},
    "bus stuck": {"--store": "{seeds}"},
    "bus backup": {"folder": "{data}", "--nats": "{nats}", "--credentials": "{seeds}"},
    "bus restore": {"folder": "{backup}", "--nats": "{nats}", "--credentials": "{seeds}"},
    "bus users": {"folder": "{data}", "--vantage": "main", "--out": "{users}"},
}
"""The other arguments of a command, by command, or by command and parameter; otherwise the address of an api."""

CLIENTS = """{"member": [{"name": "A", "id": {
    "object_type": "MEMBER", "xroad_instance": "X", "member_class": "GOV", "member_code": "1"}}]}"""


def _parameters(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield every parameter that takes a value, with its command."""
    for name, one in (group or _command()).commands.items():
        if hasattr(one, "commands"):
            yield from _parameters(one, (*path, name))
        else:
            yield from (
                (" ".join((*path, name)), parameter.opts[0])
                for parameter in one.params
                if not getattr(parameter, "is_flag", False)
            )


def _beside(command: str, parameter: str) -> Mapping[str, str]:
    return BESIDE.get(f"{command} {parameter}", BESIDE.get(command, {"--api": "{api}"}))


PARAMETERS = list(_parameters())
OFFLINE = [one for one in PARAMETERS if not {"{api}", "{nats}"} & set(_beside(*one).values())]
"""Parameters of commands that ask neither an api nor a bus before they check a value."""
ONLINE = [one for one in PARAMETERS if one not in OFFLINE]


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the paths for `BESIDE` that no command writes to."""
    folder = tmp_path_factory.mktemp("read-only")
    return {
        "register": str(write_register(folder / "register")),
        **sealed_example(folder),
        "published": publish(folder / "published", slots=1).address,
    }


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: dict[str, str]) -> dict[str, str]:
    """Return the paths for `BESIDE`. The working directory is empty, and no system starts."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(up, "running", lambda *_: pytest.fail("a wrong value came as far as starting processes"))
    write_users(tmp_path / "seeds")
    write_backup(tmp_path / "backup")
    contents = {"empty": "", "list": "agency,target\na,https://a.example/\n", "clients": CLIENTS}
    for name, content in contents.items():
        (tmp_path / name).write_text(content, "utf-8")
    return {
        name: str(tmp_path / name) for name in ("data", "seeds", "users", "export", "backup", *contents)
    } | read_only


def _words(command: str, parameter: str, value: str, places: Mapping[str, str]) -> list[str]:
    """Return the command line with one wrong value and the other arguments that the command needs."""
    given = {name: text.format(**places) for name, text in _beside(command, parameter).items()} | {parameter: value}
    options = [name if name == "--sandbox" else f"{name}={text}" for name, text in given.items() if name[0] == "-"]
    return [*command.split(), *options, "--", *(text for name, text in given.items() if name[0] != "-")]


def _complaint(words: list[str]) -> str:
    """Return what the command line says to a person, or nothing if it succeeds. Fails on a traceback."""
    result = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb"}).invoke(app, words)
    error = result.exception
    if isinstance(error, PeyvandError):
        return error.report() if isinstance(error, InputError) else str(error)
    assert error is None or isinstance(error, SystemExit), (words, error)
    return result.output if result.exit_code else ""


def _check(command: str, parameter: str, value: str, complaint: str) -> None:
    assert complaint, f"`{command}` takes {parameter} {value!r}"
    named = parameter in complaint or value.partition("=")[0] in complaint
    assert named, f"{command} {parameter} {value!r}: {complaint}"
    assert "Traceback" not in complaint


def _wrong(command: str, parameter: str) -> tuple[str, ...]:
    return WRONG.get(f"{command} {parameter}", WRONG.get(parameter, ()))


def test_every_parameter_has_five_wrong_values() -> None:
    """Every option or argument, also a new one, has five wrong values in the table."""
    assert [one for one in PARAMETERS if len(set(_wrong(*one))) != 5] == []


@pytest.mark.parametrize(("command", "parameter"), OFFLINE)
def test_a_wrong_value_is_one_clear_sentence(command: str, parameter: str, places: dict[str, str]) -> None:
    """Each wrong value is refused by name before anything starts."""
    for value in _wrong(command, parameter):
        _check(command, parameter, value, _complaint(_words(command, parameter, value, places)))


async def test_a_wrong_value_is_one_clear_sentence_beside_an_api_and_a_bus(
    api: Api, nats: Nats, places: dict[str, str]
) -> None:
    """Commands that an api and a bus would answer refuse each wrong value by name."""
    places |= {"api": api.address, "nats": nats.url, "seeds": str(nats.credentials)}
    for command, parameter in ONLINE:
        for value in _wrong(command, parameter):
            words = _words(command, parameter, value, places)
            _check(command, parameter, value, await asyncio.to_thread(_complaint, words))
