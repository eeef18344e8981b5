"""The commands of README and docs run as they are written, with other folders and ports."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.core.bus.roles import write_users
from tests.support.doc_blocks import block, run_block, started_block, write_peyvand, write_script
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.processes import page
from tests.support.programs import program
from tests.support.registers import PROBES, write_register
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import Request, answer, serving
from tests.support.waiting import until


def test_the_rules_can_be_run_beside_up(tmp_path: Path) -> None:
    """Prometheus and Alertmanager start as docs/alerts.md says, from a copy of deploy/prometheus, with its rules."""
    real = {name: program(name, name) for name in ("prometheus", "prometheus-alertmanager")}
    where = {name: f"127.0.0.1:{free_port()}" for name in real}
    for name, path in real.items():
        write_script(tmp_path / "bin" / name, f'exec {path} "$@" --web.listen-address={where[name]}')
    run_block(f"cp -r {ROOT}/deploy/prometheus rules && rm -rf rules/secrets", tmp_path)
    text = block("docs/alerts.md: Alerts 1").text.replace("/tmp/", f"{tmp_path}/")
    with started_block(f"{text}wait", tmp_path / "rules", PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"):
        until(lambda: all(page(address, "/-/ready")[0] == 200 for address in where.values()), "both being ready")
        status, rules = page(where["prometheus"], "/api/v1/rules")
        assert (status, '"name":"VantageBlind"' in rules) == (200, True)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder that stands for a host of the operating guide: a register, users, `peyvand`, and a systemctl that does nothing."""
    etc = tmp_path / "etc"
    write_register(etc / "register")
    (etc / "nats").mkdir()
    write_peyvand(tmp_path / "bin" / "peyvand")
    write_script(tmp_path / "bin" / "systemctl", 'echo "$@"')
    return tmp_path


def _on(host: Path, name: str) -> str:
    return run_block(block(name).text.replace("/etc/peyvand", str(host / "etc")), host)


def test_the_guide_s_changes_of_a_register_run(host: Path) -> None:
    """A changed register is checked, compared, probed and put in place by the guide's commands."""
    said = _on(host, "docs/operating.md: Adding an agency 1")
    assert "deed-tax" in said
    assert (host / "register.next" / "links.csv").exists()


def test_the_guide_s_changes_of_users_run(host: Path) -> None:
    """The guide's commands give a vantage a user, and a user another seed; then the old seed is no longer listed."""
    _on(host, "docs/operating.md: Adding a vantage 1")
    listed = (host / "etc" / "nats" / "users.conf").read_text()
    said = _on(host, "docs/operating.md: Rotating credentials 1")
    assert "reload peyvand-nats" in said
    assert "restart peyvand-api" in said
    assert (host / "etc" / "users" / "prober-north").is_dir()
    assert (host / "etc" / "nats" / "users.conf").read_text() != listed


def test_the_guide_s_variables_are_taken(tmp_path: Path) -> None:
    """`peyvand` reads the variables that the guide exports: a command names the file of authorities that is missing
    here.
    """
    write_peyvand(tmp_path / "bin" / "peyvand")
    write_users(tmp_path / "users")
    text = block("docs/operating.md: Operating Peyvand 1").text
    said = run_block(f"{text}\npeyvand bus init --credentials users 2>&1 || true", tmp_path)
    assert "/etc/peyvand/ca.pem" in said


def test_the_page_s_faults_are_reported_so(tmp_path: Path) -> None:
    """`register check` reports the faults that docs/register.md shows, in its words."""
    write_peyvand(tmp_path / "bin" / "peyvand")
    shown = block("docs/register.md: The register 1").text.splitlines()
    write_register(tmp_path / "register")
    links = tmp_path / "register" / "links.csv"
    links.write_text(re.sub(r"^(clearance-land,.*,page,)[^,]+", r"\1ftp://h/", links.read_text(), flags=re.MULTILINE))
    probes = tmp_path / "register" / "probes.yaml"
    probes.write_text(probes.read_text() + "slow:\n  kind: http\n  timeout: 5\n")
    said = run_block(f"{shown[0].removeprefix('$ ')} 2>&1 || true", tmp_path).splitlines()
    place = re.compile(r"^(\S+?):\d+:\d+:")
    assert [place.sub(r"\1:", line) for line in said] == [place.sub(r"\1:", line) for line in shown[1:]]


@pytest.fixture
async def tax(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a server that answers like the one of docs/probing.md: its value for clearance is a text."""
    authority = Authority.make(tmp_path)
    (tmp_path / "register").mkdir()
    (tmp_path / "register" / "ca.pem").write_bytes(Path(authority.reference.removeprefix("file:")).read_bytes())

    async def clearance(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b'{"national_id": "0000000000", "clear": "no" }'))

    async with serving(clearance, tls=authority.context("tax.example")) as server:
        yield server.port


async def test_the_page_s_first_probe_is_explained_so(tax: int, tmp_path: Path) -> None:
    """`peyvand probe` of docs/probing.md reports the outcome and the checks that the page shows."""
    write_peyvand(tmp_path / "bin" / "peyvand")
    text = block("docs/probing.md: Probing 1").text
    command = re.match(r"\$ (.*?[^\\])\n", text, re.DOTALL)
    assert command is not None
    (definition,) = re.findall(
        r"```yaml\n(# target: https://tax.example/clearance.*?)```",
        (ROOT / "docs" / "probing.md").read_text("utf-8"),
        re.DOTALL,
    )
    definition = definition.replace('ca: "file:ca.pem"', 'ca: "file:ca.pem", server_name: tax.example')
    write_register(tmp_path / "register", probes_yaml=PROBES + definition)
    said = await asyncio.to_thread(run_block, command[1].replace("tax.example", f"127.0.0.1:{tax}"), tmp_path)
    shown = [line.split("  ")[0] for line in text.splitlines() if line[:1] in ("✓", "✗")]
    assert [line.split("  ")[0] for line in said.splitlines() if line[:1] in ("✓", "✗")] == shown
    (outcome,) = re.findall(r"^INVALID\s+JSON\s+.*", text, re.MULTILINE)
    assert outcome in said
