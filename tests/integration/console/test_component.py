"""The console process: startup, open data, settings and taken ports."""

from __future__ import annotations

import shlex
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.opendata.export import read_contents, write_export
from tests.support.cases.datasets.open_data import publish
from tests.support.doc_blocks import block
from tests.support.forked import ForkedProcess
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, until

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _fetch(address: str) -> tuple[int, str]:
    try:
        with _OPENER.open(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@dataclass
class Launched:
    """A console's process, and the file of its output."""

    process: ForkedProcess
    log: Path

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended. Return its exit code and output."""
        return self.process.wait(DEADLINE), self.log.read_text("utf-8")


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start consoles that end with the test."""
    started: list[Launched] = []

    def start(**flags: object) -> Launched:
        words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        log = tmp_path / f"console-{len(started)}.log"
        metrics = ("--metrics", f"127.0.0.1:{free_port()}")
        started.append(Launched(ForkedProcess("services.console", *metrics, *words, stdout=log), log))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_a_console_waits_for_its_api(launch: Callable[..., Launched]) -> None:
    """A console without its api says so at once, on its page and in its log, and exits with 0 when terminated."""
    port, metrics = free_port(), free_port()
    api = f"127.0.0.1:{free_port()}"
    started = launch(console=f"127.0.0.1:{port}", api=api, metrics=f"127.0.0.1:{metrics}")
    process = started.process
    until(lambda: "api_lost" in started.log.read_text(), "the console missed its api")
    status, page = _fetch(f"http://127.0.0.1:{port}/en/")
    assert (status, "The figures cannot be read at the moment" in page) == (503, True)
    assert _fetch(f"http://127.0.0.1:{metrics}/health")[1].startswith("NOT_SERVING")
    assert "peyvand_console_api_connected 0.0" in _fetch(f"http://127.0.0.1:{metrics}/metrics")[1]
    process.terminate()
    assert process.wait(DEADLINE) == 0


def test_open_data_is_served_without_an_api(launch: Callable[..., Launched], tmp_path: Path) -> None:
    """The page's command serves the files of an export as soon as one exists."""
    program, component, flag, folder = shlex.split(block("docs/opendata.md: 3. Serve it 1").text)
    assert (program, component, flag, folder) == ("peyvand", "console", "--open-data", "/srv/open-data")
    port, out = free_port(), tmp_path / "open-data"
    launch(console=f"127.0.0.1:{port}", api=f"127.0.0.1:{free_port()}", open_data=out)
    address = f"http://127.0.0.1:{port}/data/export/README.en.md"
    until(lambda: _fetch(address)[0] == 404, "the console answers")
    published = publish(tmp_path / "published", slots=1)
    write_export(out, read_contents(published.address, None, first="", last=""))
    status, text = _fetch(address)
    assert (status, text) == (200, (out / "README.en.md").read_text("utf-8"))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"console": "0.0.0.0:{port}"}, "listen on loopback, or set --audience to public or signed"),
        ({"console": "nowhere"}, "is not HOST:PORT"),
        ({"audience": "signed"}, "--audience signed needs --console-url, --oidc-issuer"),
        (
            {
                "audience": "signed",
                "console_url": "https://p.example",
                "oidc_issuer": "https://i.example",
                "oidc_client": "p",
                "oidc_secret": "{folder}/nothing",
                "session_key": "{folder}/nothing",
            },
            "cannot be read",
        ),
        ({"api_certificate": "{folder}/nothing", "api": "tls://127.0.0.1:1"}, "needs its key"),
        ({"audience": "everybody"}, "the settings of console cannot be used"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    launch: Callable[..., Launched], tmp_path: Path, flags: dict[str, str], sentence: str
) -> None:
    """Settings that cannot work end the console with exit code 1 and a sentence that says what to do."""
    given = {name: value.format(port=free_port(), folder=tmp_path) for name, value in flags.items()}
    code, output = launch(**{"console": f"127.0.0.1:{free_port()}", **given}).ended()
    assert code == 1
    assert sentence in output
    assert "Traceback" not in output


def test_a_short_key_is_refused(launch: Callable[..., Launched], tmp_path: Path) -> None:
    """A session key that could be guessed is refused."""
    (tmp_path / "key").write_text("short\n")
    code, output = launch(
        console=f"127.0.0.1:{free_port()}",
        audience="signed",
        console_url="https://p.example",
        oidc_issuer="https://i.example",
        oidc_client="p",
        oidc_secret=tmp_path / "key",
        session_key=tmp_path / "key",
    ).ended()
    assert code == 1
    assert "less than 32 characters: make a longer one" in output


def test_a_taken_port_is_one_sentence(launch: Callable[..., Launched]) -> None:
    """The error names the taken address, and the first console keeps running."""
    port = free_port()
    first = launch(console=f"127.0.0.1:{port}")
    until(lambda: _fetch(f"http://127.0.0.1:{port}/healthz")[0] == 503, "the first console answers")
    _, output = launch(console=f"127.0.0.1:{port}").ended()
    assert output.splitlines()[-1] == (
        f"peyvand console: the console cannot listen on 127.0.0.1:{port}: Address already in use; choose another address with --console"
    )
    assert first.process.poll() is None
