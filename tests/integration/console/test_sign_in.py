"""Signing in against a real identity provider."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from itsdangerous import TimestampSigner

from services.console.web import Provider
from tests.support.console.case import Console
from tests.support.forked import ForkedProcess
from tests.support.ports import free_port
from tests.support.processes import page
from tests.support.servers.openid_provider import CLIENT
from tests.support.waiting import until

SECRET = "a secret of the client"
KEY = "a key of the cookies, which is long enough"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a running provider. Each test tells it who signs in."""
    where = f"127.0.0.1:{free_port()}"
    process = ForkedProcess("tests.support.servers.openid_provider", where.rpartition(":")[2], SECRET)
    try:
        until(lambda: page(where, "/keys")[0] == 200, "the provider answers")
        yield f"http://{where}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def signed(api: Any, make_console: Any, issuer: str) -> Console:
    """A console where readers sign in."""
    assert api
    made: Console = await make_console(
        audience="signed", provider=Provider(issuer, CLIENT, SECRET, "role"), session_key=KEY
    )
    return made


async def _sign_in(console: Console, issuer: str, back: str = "", **person: str) -> httpx.Response:
    """Sign in through the provider, and return the console's last answer."""
    async with httpx.AsyncClient(trust_env=False) as provider:
        await provider.get(f"{issuer}/as", params=person)
        start = await console.client.get("/sign-in/start", params={"back": back} if back else {})
        assert start.status_code == 302
        there = await provider.get(start.headers["location"])
        assert there.headers["location"].startswith("http://console.test/sign-in/done?")
    return await console.client.get(there.headers["location"])


async def test_an_auditor_sees_everything(signed: Console, issuer: str) -> None:
    """After signing in an auditor sees a link's target, and is led back to the page where the sign-in began."""
    assert (await signed.get("/en/link/deed-tax")).status_code == 401
    done = await _sign_in(signed, issuer, "/en/link/deed-tax", sub="amina", role="auditor")
    assert (done.status_code, done.headers["location"]) == (303, "/en/link/deed-tax")
    cookie = done.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    page = await signed.get("/en/link/deed-tax")
    assert page.status_code == 200
    assert "http://127.0.0.1:7500/tax/clearance" in page.text
    assert page.headers["cache-control"] == "private, no-cache"
    assert "You are signed in as auditor." in (await signed.get("/en/sign-in")).text


async def test_an_agency_sees_its_own(signed: Console, issuer: str) -> None:
    """A reader of an agency sees its links and services, and none of others."""
    await _sign_in(signed, issuer, sub="customs clerk", role="agency:customs")
    assert (await signed.get("/en/link/clearance-customs")).status_code == 200
    assert (await signed.get("/en/service/import-permit")).status_code == 200
    assert (await signed.get("/en/link/deed-tax")).status_code == 404
    assert (await signed.get("/en/service/title-deed")).status_code == 404
    assert "deed-tax" not in (await signed.get("/data/links.csv")).text
    assert "clearance-customs" in (await signed.get("/data/links.csv")).text


async def test_who_has_no_role_is_public(signed: Console, issuer: str) -> None:
    """A person whose claim has no known role sees only what everybody sees."""
    await _sign_in(signed, issuer, sub="nobody", role="king")
    assert (await signed.get("/en/link/deed-tax")).status_code in (401, 404)


async def test_signing_out_needs_the_token_of_the_page(signed: Console, issuer: str) -> None:
    """A form of another site cannot sign a reader out; the button can."""
    await _sign_in(signed, issuer, sub="amina", role="auditor")
    assert (await signed.client.post("/sign-out", data={"token": "x"})).status_code == 401
    page = (await signed.get("/en/")).text
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    assert (await signed.client.post("/sign-out", data={"token": token[1]})).status_code == 303
    assert (await signed.get("/en/link/deed-tax")).status_code == 401


async def test_a_refusal_signs_nobody_in(signed: Console, issuer: str) -> None:
    """A refusal of the provider, and an answer that nobody asked for, get a 401 and no session."""
    refused = await _sign_in(signed, issuer, error="access_denied", sub="x")
    assert refused.status_code == 401
    forged = await signed.get("/sign-in/done?code=x&state=y")
    assert forged.status_code == 401
    assert (await signed.get("/en/link/deed-tax")).status_code == 401


@pytest.mark.parametrize("claims", [{"nonce": "of another sign-in"}, {"exp": "1"}, {"aud": "another"}, {"iss": "x"}])
async def test_a_token_that_is_wrong_signs_nobody_in(
    signed: Console, issuer: str, claims: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A token of another sign-in, client or provider, or an expired one, is refused with a line in the log."""
    refused = await _sign_in(signed, issuer, sub="amina", role="auditor", **claims)
    assert (refused.status_code, "This page is for those who signed in" in refused.text) == (401, True)
    assert "sign_in_refused" in "".join(capsys.readouterr())
    assert (await signed.get("/en/link/deed-tax")).status_code == 401


async def test_the_keys_of_the_provider_are_read_at_each_sign_in(signed: Console, issuer: str) -> None:
    """A provider may replace its key by another one, also of the same name: the former is trusted no more."""
    await _sign_in(signed, issuer, sub="amina", role="auditor")
    async with httpx.AsyncClient(trust_env=False) as provider:
        await provider.get(f"{issuer}/another-key")
    done = await _sign_in(signed, issuer, sub="amina", role="auditor")
    assert done.status_code == 303
    assert (await signed.get("/en/link/deed-tax")).status_code == 200


async def test_a_provider_that_does_not_say_where_to_sign_in_is_not_asked(
    api: Any, make_console: Any, issuer: str
) -> None:
    """A provider whose description lacks the address for signing in gets no request; the reader gets a 401."""
    assert api
    provider = Provider(f"{issuer}/bare", CLIENT, SECRET, "role")
    console = await make_console(audience="signed", provider=provider, session_key=KEY)
    assert (await console.get("/sign-in/start")).status_code == 401


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/en/\\evil", "javascript:alert(1)", "/sign-out"]
)
async def test_the_way_back_is_to_a_page_of_ours(signed: Console, issuer: str, back: str) -> None:
    """Any other address leads to the start page."""
    done = await _sign_in(signed, issuer, back, sub="amina", role="auditor")
    assert done.headers["location"] == "/"


async def test_a_forged_cookie_is_nobody(signed: Console) -> None:
    """A session that is changed or signed with another key does not count."""
    data = base64.b64encode(json.dumps({"role": "auditor", "until": 10**10, "subject": "x"}).encode())
    forged = TimestampSigner("another key").sign(data).decode()
    for cookie in (forged, data.decode(), "", "x.y.z"):
        assert (await signed.get("/en/link/deed-tax", cookie=f"session={cookie}")).status_code == 401
    genuine = TimestampSigner(KEY).sign(data).decode()
    assert (await signed.get("/en/link/deed-tax", cookie=f"session={genuine}")).status_code == 200


async def test_under_https_the_cookie_is_secure(api: Any, make_console: Any, issuer: str) -> None:
    """Under https the cookie is never sent in the clear."""
    assert api
    provider = Provider(issuer, CLIENT, SECRET, "role")
    console = await make_console(audience="signed", base="https://console.test", provider=provider, session_key=KEY)
    start = await console.get("/sign-in/start")
    assert "secure" in start.headers["set-cookie"].lower()
    assert "redirect_uri=https%3A%2F%2Fconsole.test%2Fsign-in%2Fdone" in start.headers["location"]


async def test_without_the_provider_a_sentence_comes(api: Any, make_console: Any) -> None:
    """If the provider does not answer, the reader gets a 401 instead of an error."""
    assert api
    provider = Provider(f"http://127.0.0.1:{free_port()}", CLIENT, SECRET, "role")
    console = await make_console(audience="signed", provider=provider, session_key=KEY)
    answer = await console.get("/sign-in/start")
    assert answer.status_code == 401
