"""What browsers load and keep: compressed, small, and no longer than the software that made it."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from services.console.web import assets
from tests.support.console.case import NAMED_PAGES, Console


async def test_other_software_sends_the_page_again(
    console: Console, make_console: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A reader who has a page gets it again from a console with another template, text, module or setting."""
    software = shutil.copytree(assets.SOFTWARE, tmp_path / "console")
    monkeypatch.setattr(assets, "SOFTWARE", software)
    tags = [(await console.get("/en/")).headers["etag"]]
    assert (await (await make_console()).get("/en/", if_none_match=tags[0])).status_code == 304
    for name in ("templates/government.html", "catalogues/fa.po", "pages/government.py"):
        (software / name).write_bytes((software / name).read_bytes() + b"\n")
        page = await (await make_console()).get("/en/", if_none_match=tags[-1])
        assert page.status_code == 200
        tags.append(page.headers["etag"])
    other = await make_console(dashboards="https://grafana.test")
    tags.append((await other.get("/en/")).headers["etag"])
    assert len(set(tags)) == 5


async def test_pages_are_compressed_for_who_takes_that(console: Console) -> None:
    """A reader who accepts gzip gets the same bytes compressed."""
    plain = await console.get("/en/", accept_encoding="identity")
    packed = await console.get("/en/", accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    for path in ("/en/", re.findall(r"/static/console[^\"]*css", plain.text)[0]):
        refused = await console.get(path, accept_encoding="br, gzip;q=0")
        assert (refused.status_code, "content-encoding" in refused.headers) == (200, False)


async def test_everything_that_pages_load_is_small(console: Console) -> None:
    """A first page with script, style and font is at most 100 KB as sent, every page at most 40, the script at most 15."""
    page = await console.get("/fa/")
    files = {part.split('"')[0] for part in page.text.split('"/static/')[1:]}
    sizes = {}
    for name in files:
        answer = await console.get(f"/static/{name}", accept_encoding="gzip")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        sizes[name.split(".")[0] + "." + name.rsplit(".", 1)[1]] = int(answer.headers["content-length"])
        for font in (part.split('"')[0] for part in answer.text.split('"/static/font')[1:] if name.endswith(".css")):
            sizes["font"] = int(
                (await console.get(f"/static/font{font}", accept_encoding="gzip")).headers["content-length"]
            )
    assert sizes["console.js"] <= 15_000
    first = int((await console.get("/fa/", accept_encoding="gzip")).headers["content-length"])
    assert first + sum(sizes.values()) <= 100_000
    for path in NAMED_PAGES:
        assert len(gzip.compress((await console.get(f"/fa{path}")).content)) <= 40_000
