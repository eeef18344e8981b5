"""The export of open data is listed in both languages. Anybody may download its files, and no other file."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.cli.opendata.export import read_contents, write_export
from tests.support.cases.datasets.open_data import publish
from tests.support.console.case import Console


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open-data")
    published = publish(folder, slots=6)
    write_export(folder / "export", read_contents(published.address, None, first="", last=""))
    return folder / "export"


@pytest.mark.parametrize("audience", ["open", "public"])
async def test_the_page_of_data_lists_the_export(api: Any, make_console: Any, exported: Path, audience: str) -> None:
    """The page lists each file with its SHA-256, the days, the publisher and the licence, in both languages."""
    assert api
    console: Console = await make_console(audience=audience, open_data=exported)
    for code, publisher in (("en", "Court of Audit"), ("fa", "دیوان محاسبات")):
        page = (await console.get(f"/{code}/data")).text
        assert publisher in page
        assert 'href="https://licence.example/by" rel="license"' in page
        assert 'datetime="2026-03-01"' in page
        for resource in json.loads((exported / "datapackage.json").read_text("utf-8"))["resources"]:
            assert f'href="/data/export/{resource["path"]}"' in page
            assert resource["hash"].removeprefix("sha256:") in page
            assert resource["title_fa" if code == "fa" else "title"] in page


async def test_every_file_is_downloaded_as_it_is(api: Any, make_console: Any, exported: Path) -> None:
    """Each file has its media type, a validator, ranges, and the usual headers."""
    assert api
    console: Console = await make_console(audience="public", open_data=exported)
    types = {
        "csv": "text/csv; charset=utf-8; header=present",
        "parquet": "application/vnd.apache.parquet",
        "json": "application/json",
        "jsonld": "application/ld+json",
        "md": "text/markdown; charset=utf-8",
    }
    for file in sorted(exported.iterdir()):
        address = f"/data/export/{file.name}"
        answer = await console.get(address)
        assert (answer.status_code, sha256(answer.content).digest()) == (200, sha256(file.read_bytes()).digest())
        assert answer.headers["content-type"] == types[file.suffix[1:]]
        assert answer.headers["cache-control"] == "public, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await console.get(address, if_none_match=answer.headers["etag"])).status_code == 304
        part = await console.get(address, range="bytes=0-9")
        assert (part.status_code, part.content) == (206, file.read_bytes()[:10])


async def test_a_newer_export_is_served_at_once(api: Any, make_console: Any, exported: Path, tmp_path: Path) -> None:
    """A newer file has another validator."""
    assert api
    folder = tmp_path / "export"
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    console: Console = await make_console(open_data=folder)
    etag = (await console.get("/data/export/links.csv")).headers["etag"]
    (folder / "links.csv").write_bytes(b"id\r\n")
    answer = await console.get("/data/export/links.csv", if_none_match=etag)
    assert (answer.status_code, answer.content) == (200, b"id\r\n")


async def test_nothing_else_is_served(api: Any, make_console: Any, exported: Path, tmp_path: Path) -> None:
    """No path or symbolic link leads out of the export, and a file that its description does not list is not served."""
    assert api
    (tmp_path / "secret.csv").write_text("secret")
    folder = tmp_path / "export"
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "other.csv").write_text("secret")
    (folder / "rounds.csv").unlink()
    (folder / "rounds.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "islands.csv").unlink()
    (folder / "islands.csv").mkdir()
    console: Console = await make_console(open_data=folder)
    assert (await console.get("/data/export/links.csv")).status_code == 200
    for name in (
        "../secret.csv",
        "..%2Fsecret.csv",
        "%2e%2e/secret.csv",
        "..%5Csecret.csv",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "links.csv%00",
        "links.csv/",
        "./other.csv",
        "other.csv",
        "rounds.csv",
        "islands.csv",
        ".new",
        "",
    ):
        answer = await console.get(f"/data/export/{name}")
        assert answer.status_code in (307, 404), name
        assert "secret" not in answer.text.replace("secret.csv", ""), name


@pytest.mark.parametrize("content", ["", "{}", '{"resources": [{"path": "../secret.csv"}]}', "[]"])
async def test_a_damaged_description_hides_the_export(
    api: Any, make_console: Any, exported: Path, tmp_path: Path, content: str
) -> None:
    """The page leaves the export out, and no file can be downloaded."""
    assert api
    (tmp_path / "datapackage.json").write_text(content)
    (tmp_path / "links.csv").write_bytes((exported / "links.csv").read_bytes())
    console: Console = await make_console(open_data=tmp_path)
    assert "/data/export/" not in (await console.get("/en/data")).text
    assert (await console.get("/data/export/links.csv")).status_code == 404


async def test_there_is_nothing_without_an_export(console: Console) -> None:
    """There is no list and no file, and `/data` leads to the page of data in the reader's language."""
    assert "/data/export/" not in (await console.get("/en/data")).text
    assert (await console.get("/data/export/datapackage.json")).status_code == 404
    answer = await console.get("/data", accept_language="en")
    assert (answer.status_code, answer.headers["location"]) == (307, "/en/data")
