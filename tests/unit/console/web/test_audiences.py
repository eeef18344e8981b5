"""Audiences of the console: open, public and signed."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from itsdangerous import TimestampSigner

from services.console.texts.words import WORDS
from services.console.web.readers import Reader, reader_of
from services.console.web.sign_in import Provider, role_of
from tests.support.console.case import Console

PROVIDER = Provider("http://127.0.0.1:1", "peyvand", "secret", "role")
KEY = "k" * 40
_LINK = re.compile(r'(?:href|src|action)="(/[^"#]*)')


def _session(token: str) -> str:
    """Return the session cookie of an auditor, with the token of its forms."""
    session = {"role": "auditor", "subject": "amina", "token": token, "until": int(time.time()) + 1000}
    signed = TimestampSigner(KEY).sign(base64.b64encode(json.dumps(session).encode()))
    return f"session={signed.decode()}"


@pytest.fixture
async def public(api: Any, make_console: Any) -> Console:
    """Return a console for the public over an api with everything."""
    assert api
    made: Console = await make_console(audience="public")
    return made


async def test_the_public_sees_agencies_and_above(public: Console) -> None:
    """The public gets no services, no links, no data on them, and no sign-in."""
    for path in ("/en/service/title-deed", "/fa/link/deed-tax", "/data/links.csv", "/data/services.json"):
        assert (await public.get(path)).status_code == 404
    for path in ("/en/", "/en/agency/tax-office", "/en/matrix/land-registry/tax-office", "/data/agencies.csv"):
        assert (await public.get(path)).status_code == 200
    assert "/sign-in" not in (await public.get("/en/")).text


async def test_1000_public_pages_hold_no_target_reason_or_detail(public: Console) -> None:
    """A crawl from the start, with varied addresses, finds no target, reason or detail that would help an attack."""
    secret = {
        "127.0.0.1:7500",
        "Target",
        "نشانی مقصد",
        "test record",
        "deed-tax",
        "clearance-land",
        "birth-tax",
        "permit-tax",
    }
    secret |= {word for key, word in WORDS["reason"].items() if key not in ("ok", "absent", "late", "stale")}
    todo, seen = ["/en/", "/fa/"], set[str]()
    variations = ["", "?window=28", "?window=90", "?side=consumer", "?sort=name", "?span=90", "?sector=justice", "?q=a"]
    while todo and len(seen) < 1000:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = await public.get(path)
        assert answer.status_code in (200, 303, 307, 404), path
        if answer.status_code in (303, 307):
            todo.append(answer.headers["location"])
            continue
        if not path.startswith("/static/"):
            # The page about an unknown address repeats that address to the reader who requested it.
            found = [word for word in secret if word in answer.text and word not in path]
            assert found == [], path
        todo += [one.replace("&amp;", "&") for one in _LINK.findall(answer.text)]
        if "?" not in path:
            todo += [path + one for one in variations]
        # Pages without a link to them are tried as well.
        todo += [
            "/en/link/deed-tax",
            "/fa/service/title-deed",
            "/data/links.json",
            "/en/search?q=deed",
            "/en/agency/customs",
        ]
    assert len(seen) == 1000


async def test_open_is_for_all_and_needs_no_sign_in(console: Console) -> None:
    """Everything is shown, targets included, and the sign-in page says why there is none."""
    assert "http://127.0.0.1:7500/tax/clearance" in (await console.get("/en/link/deed-tax")).text
    assert "Nobody needs to sign in here" in (await console.get("/en/sign-in")).text


async def test_signed_asks_for_a_sign_in(api: Any, make_console: Any) -> None:
    """Without a sign-in, public pages are public and the others lead to the sign-in."""
    assert api
    console = await make_console(audience="signed")
    answer = await console.get("/en/link/deed-tax")
    assert answer.status_code == 401
    assert "This page is for those who signed in" in answer.text
    assert (await console.get("/en/")).status_code == 200


async def test_a_sign_in_leads_back_to_the_page(api: Any, make_console: Any) -> None:
    """Every link to the sign-in names the page that it stands on, and the sign-in keeps that page."""
    assert api
    console = await make_console(audience="signed")
    for path in ("/en/link/deed-tax?span=28", "/fa/agency/tax-office"):
        links = re.compile(rf'href="({path[:3]}/sign-in[^"]*)"')
        (address, *others) = links.findall((await console.get(path)).text)
        assert set(others) <= {address}
        page = (await console.get(address)).text
        assert f'href="/sign-in/start?back={path.replace("?", "%3F").replace("=", "%3D")}"' in page
        assert set(links.findall(page)) == {address}
    refused = (await console.get("/data/links.csv")).text
    assert 'href="/en/sign-in"' in refused
    assert "back=" not in refused


async def test_an_error_of_a_file_is_told_in_the_language_of_its_reader(public: Console) -> None:
    """A file has no language, so the page that says why there is none is in the reader's."""
    for asked, code in (("fa", "fa"), ("en", "en")):
        page = await public.get("/data/links.csv", accept_language=asked)
        assert (page.status_code, f'<html lang="{code}"' in page.text) == (404, True)


async def test_a_second_session_gets_pages_of_its_own(api: Any, make_console: Any) -> None:
    """A page holds the token of its own session, and is never sent to another session of the same person."""
    assert api
    console = await make_console(audience="signed", provider=PROVIDER, session_key=KEY)
    pages = {token: await console.get("/en/", cookie=_session(token)) for token in ("first", "second")}
    for token, page in pages.items():
        assert f'name="token" value="{token}"' in page.text
    tag = pages["first"].headers["etag"]
    assert (await console.get("/en/", cookie=_session("first"), if_none_match=tag)).status_code == 304
    assert (await console.get("/en/", cookie=_session("second"), if_none_match=tag)).status_code == 200
    left = await console.client.post("/sign-out", content="token=second", headers={"cookie": _session("second")})
    assert left.status_code == 303


async def test_a_sign_out_is_a_short_form(api: Any, make_console: Any) -> None:
    """A longer body is refused, and no more of it is read than a form may have."""
    assert api
    console = await make_console(audience="signed", provider=PROVIDER, session_key=KEY)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b"x" * 600

    assert (await console.client.post("/sign-out", content=endless())).status_code == 413
    assert sent == 2
    assert (await console.client.post("/sign-out", content=b"x" * 60_000)).status_code == 413
    assert (await console.client.post("/sign-out", content=b"token=x")).status_code == 401


def test_a_session_ends() -> None:
    """A role counts until the session ends, and in a signed console only."""
    session = {"role": "auditor", "subject": "s", "token": "t", "until": 100}
    assert reader_of("signed", session, 99.0) == Reader("auditor", "s", "t")
    assert reader_of("signed", session, 100.0) == Reader("public")
    assert reader_of("signed", {}, 0.0) == Reader("public")
    assert reader_of("public", session, 99.0) == Reader("public")
    assert reader_of("open", session, 99.0) == Reader("")


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ("auditor", "auditor"),
        ("agency:tax-office", "agency:tax-office"),
        (["staff", "agency:customs"], "agency:customs"),
        ("agency:../x", "public"),
        ("console", "public"),
        ("Auditor", "public"),
        (None, "public"),
        ({"role": "auditor"}, "public"),
        (["auditor\n"], "public"),
    ],
)
def test_claims_name_roles(claim: Any, role: str) -> None:
    """A claim that names no role gives the role of the public."""
    assert role_of(claim) == role
