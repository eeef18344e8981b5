"""Frozen rounds on their page, and downloads of their files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from peyvand.v1 import register_service_pb2
from services.console.web.readers import Reader
from services.dataset.rounds import SIGNED_SUMS, SUMS
from tests.support.cases.datasets.frozen_rounds import KEY, MEASUREMENTS, write_round
from tests.support.console.case import Console

_FOR_ALL = {"round.json", "structure.json", "datapackage.json", SUMS, SIGNED_SUMS}


def offered(page: str, name: str) -> dict[str, str]:
    """Return the addresses of the files of a round on a page, by file name."""
    return {
        file: f"/rounds/{name}/{rest}" for rest, file in re.findall(rf'"/rounds/{name}/((.*?)\?[0-9a-f]{{12}})"', page)
    }


async def test_the_page_lists_rounds_and_how_to_verify_them(console: Console) -> None:
    """Rounds come newest first, with key and hash, and are marked if provisional or corrected, in both languages."""
    for code, provisional, corrected in (("en", "provisional", "corrected"), ("fa", "موقت", "اصلاح‌شده")):
        page = (await console.get(f"/{code}/rounds")).text
        assert re.findall(r'<article class="round" aria-labelledby="frozen-([^"]+)"', page) == [
            *("trial", "2026-spring-2", "2026-spring"),
        ]
        trial, correction, former = page.split("<article")[1:4]
        assert f'<strong class="tag">{provisional}</strong>' in trial
        assert 'href="#frozen-2026-spring"' in correction
        assert "An agency was listed twice." in correction
        assert f'<strong class="tag">{corrected}</strong>' in former
        assert 'href="#frozen-2026-spring-2"' in former
        assert f"peyvand round verify trial --key {KEY.public}<" in trial
        (one,) = [
            one
            for one in (
                await console.api.registers.ListFrozenRounds(register_service_pb2.ListFrozenRoundsRequest())
            ).rounds
            if one.id == "trial"
        ]
        assert one.sums_sha256 in trial
        assert re.findall(r"<code>report.en.pdf</code>", trial.partition("<details")[0])
        assert '<data value="0.625"' in trial


async def test_every_file_is_served_as_it_was_frozen(console: Console, rounds: Path) -> None:
    """The page links to each file. Its bytes, type and length are right, and browsers may cache it for good."""
    files = offered((await console.get("/en/rounds")).text, "trial")
    folder = rounds / "trial"
    assert files.keys() == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    for name, address in files.items():
        answer = await console.get(address)
        assert answer.content == (folder / name).read_bytes(), name
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers["cache-control"].endswith("max-age=31536000, immutable")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await console.get(address, if_none_match=answer.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
    types = {name: (await console.get(address)).headers["content-type"] for name, address in files.items()}
    assert types["report.en.pdf"] == "application/pdf"
    assert types[MEASUREMENTS] == "application/vnd.apache.parquet"
    assert types[SUMS] == "text/plain; charset=utf-8"
    part = await console.get(files["report.en.pdf"], range="bytes=0-3")
    assert (part.status_code, part.content) == (206, b"%PDF")


async def test_only_files_that_the_sums_name_are_served(console: Console, rounds: Path, tmp_path: Path) -> None:
    """No other file of the round, none beside or above it, and none behind a link is served, whatever the sums say."""
    (tmp_path / "secret").write_text("for nobody")
    write_round(rounds, "hostile")
    (rounds / "trial" / "unnamed").write_text("unnamed")
    (rounds / "hostile" / "leads-out").symlink_to(tmp_path / "secret")
    sums = rounds / "hostile" / SUMS
    named = ("leads-out", "../../secret", str(tmp_path / "secret"), "../trial/round.json", "evidence")
    sums.write_text(sums.read_text() + "".join(f"{'0' * 64}  {name}\n" for name in named))
    for address in (
        "/rounds/trial/unnamed",
        "/rounds/trial/",
        "/rounds/trial/..%2fhostile%2fround.json",
        "/rounds/..%2frounds%2ftrial/round.json",
        "/rounds/%2e%2e/secret",
        "/rounds/.trial/round.json",
        "/rounds/nothing/round.json",
        "/rounds/trial/round.json%00",
        *(f"/rounds/hostile/{name.replace('..', '%2e%2e').replace('/', '%2f')}" for name in named),
    ):
        answer = await console.get(address)
        assert answer.status_code == 404, address
        assert b"for nobody" not in answer.content
    assert (await console.get("/rounds/hostile/round.json")).status_code == 200


async def test_the_public_gets_what_is_about_agencies_and_above(api: Any, make_console: Any) -> None:
    """Readers without a role get no evidence, no register, no index of links and no report, which names links."""
    assert api
    for audience, status in (("public", 404), ("signed", 401)):
        console = await make_console(audience=audience)
        page = (await console.get("/en/rounds")).text
        assert offered(page, "trial").keys() == _FOR_ALL
        assert "ask the owner of the round" in page
        for name in (MEASUREMENTS, "register/r.p.json", "indicators.csv", "indicators.parquet", "report.en.pdf"):
            assert (await console.get(f"/rounds/trial/{name}")).status_code == status, name
        answer = await console.get("/rounds/trial/round.json")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


@pytest.mark.parametrize(
    ("role", "everything"), [("", True), ("auditor", True), ("agency:tax-office", False), ("public", False)]
)
def test_an_agency_does_not_see_the_links_of_others(role: str, everything: bool) -> None:
    """Only readers who see everything get the files that hold the links of all agencies."""
    assert Reader(role).sees_everything is everything


async def test_a_console_without_the_folder_lists_rounds_without_files(api: Any, make_console: Any) -> None:
    """The rounds that the api lists are shown, without downloads."""
    assert api
    console = await make_console(rounds=None)
    page = (await console.get("/en/rounds")).text
    assert "frozen-trial" in page
    assert offered(page, "trial") == {}
    assert (await console.get("/rounds/trial/round.json")).status_code == 404
