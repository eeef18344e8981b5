"""Behaviours 6-9: cookies, what is sent, schemes. Not a test itself."""

from __future__ import annotations

from services.core.model.outcome import Reason
from tests.conformance.case import CONFIG_ERROR, FAILS, PASSES, Case
from tests.conformance.servers import at, http, judging, leading, routes
from tests.support.servers.http_server import Request, says

__all__ = ["CASES"]

_OURS = "kind: http"
_THEIRS = "prober: http"


def _cookies(request: Request) -> set[str]:
    return set(filter(None, (request.header("cookie") or "").split("; ")))


_COOKIES = (
    Case(
        6,
        "a cookie set by a redirect comes along",
        http(
            routes(
                {
                    "/start": says(302, b"", {"Location": "/end", "Set-Cookie": "session=s1; Path=/"}),
                    "/end": judging(lambda request: request.header("cookie") == "session=s1"),
                }
            ),
            "/start",
        ),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"redirects": 1},
    ),
    Case(
        6,
        "a cookie for another path stays behind",
        http(
            routes(
                {
                    "/start": says(302, b"", {"Location": "/end", "Set-Cookie": "session=s1; Path=/other"}),
                    "/end": judging(lambda request: request.header("cookie") is None),
                }
            ),
            "/start",
        ),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"redirects": 1},
    ),
    Case(
        6,
        "a cookie of the definition goes on at home",
        http(
            routes(
                {
                    "/start": says(302, b"", {"Location": "/end", "Set-Cookie": "session=s1; Path=/"}),
                    "/end": judging(lambda request: _cookies(request) == {"lang=fa", "session=s1"}),
                }
            ),
            "/start",
        ),
        f"{_OURS}\nheaders: {{Cookie: lang=fa}}",
        "prober: http\nhttp: {headers: {Cookie: lang=fa}}",
        Reason.OK,
        PASSES,
        {"redirects": 1},
    ),
    Case(
        6,
        "a cookie of the definition is not for strangers",
        leading(http(judging(lambda request: not _cookies(request)), name="localhost")),
        f"{_OURS}\nheaders: {{Cookie: lang=fa}}",
        "prober: http\nhttp: {preferred_ip_protocol: ip4, headers: {Cookie: lang=fa}}",
        Reason.OK,
        PASSES,
        {"redirects": 1},
    ),
)


def _sent(request: Request) -> bool:
    wanted = {"host": "tax.example", "user-agent": "monitor/9", "x-who": "me", "accept": "application/json"}
    return all(
        [given for header, given in request.headers if header.lower() == name] == [value]
        for name, value in wanted.items()
    )


_HEADERS = "{Host: tax.example, user-agent: monitor/9, X-Who: me, Accept: application/json}"
_PERSIAN = '{"نام":\r\n "علی"}\n'
_TEXT = 'method: POST\nbody: "{\\"نام\\":\\r\\n \\"علی\\"}\\n"'


def _arrived(request: Request) -> bool:
    return request.body == _PERSIAN.encode()


_SENDING = (
    Case(
        7,
        "headers arrive as set, each once",
        http(judging(_sent)),
        f"kind: http\nheaders: {_HEADERS}",
        f"prober: http\nhttp: {{headers: {_HEADERS}}}",
        Reason.OK,
        PASSES,
    ),
    Case(
        7,
        "the method arrives as set",
        http(judging(lambda request: request.line == "OPTIONS / HTTP/1.1")),
        "kind: http\nmethod: OPTIONS",
        "prober: http\nhttp: {method: OPTIONS}",
        Reason.OK,
        PASSES,
    ),
    Case(
        7,
        "a User-Agent goes along unasked",
        http(judging(lambda request: bool(request.header("user-agent")))),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
    ),
    Case(
        8,
        "a body from text",
        http(judging(_arrived)),
        f"kind: http\n{_TEXT}",
        f"prober: http\nhttp: {{{_TEXT.replace(chr(10), ', ')}}}",
        Reason.OK,
        PASSES,
    ),
    Case(
        8,
        "a body from a file",
        http(judging(_arrived)),
        "kind: http\nmethod: POST\nbody: file:body.txt",
        "prober: http\nhttp: {method: POST, body_file: body.txt}",
        Reason.OK,
        PASSES,
    ),
    Case(
        8,
        "a body with a doubled dollar sign",
        http(judging(lambda request: request.body == b"price $5")),
        "kind: http\nmethod: POST\nbody: price $$5",
        "prober: http\nhttp: {method: POST, body: price $5}",
        Reason.OK,
        PASSES,
    ),
    Case(
        8,
        "a body with a single dollar sign",
        http(says()),
        "kind: http\nmethod: POST\nbody: price $5",
        "prober: http\nhttp: {method: POST, body: price $5}",
        None,
        PASSES,
        differs="a body is a text whose placeholders are filled in: a dollar sign that begins none is doubled",
    ),
    Case(
        8,
        "a body file that is not UTF-8",
        http(judging(lambda request: request.body == b"caf\xe9")),
        "kind: http\nmethod: POST\nbody: file:latin.txt",
        "prober: http\nhttp: {method: POST, body_file: latin.txt}",
        None,
        PASSES,
        differs="a body is a text whose placeholders are filled in, so it has to be UTF-8; a wrong one is refused at once",
    ),
    Case(
        8,
        "a body file that is missing",
        http(says()),
        "kind: http\nmethod: POST\nbody: file:gone.txt",
        "prober: http\nhttp: {method: POST, body_file: gone.txt}",
        None,
        FAILS,
        differs="what the monitor lacks is a fault of its register, found before it reads as the target's failure",
    ),
)

_SCHEMES = (
    Case(
        9,
        "HTTP in capitals",
        http(says(), scheme="HTTP"),
        _OURS,
        _THEIRS,
        Reason.OK,
        FAILS,
        differs="a scheme is case-insensitive (RFC 3986, 3.1); blackbox_exporter reads it so only in later versions",
    ),
    Case(
        9,
        "no scheme",
        http(says(), scheme="-"),
        _OURS,
        _THEIRS,
        None,
        PASSES,
        differs="http or https is never guessed: what is asked for stands in the register",
    ),
    Case(
        9,
        "an unknown scheme",
        at("ftp://127.0.0.1:1/"),
        _OURS,
        _THEIRS,
        None,
        FAILS,
        differs="a target that can never be probed is refused with the register, not found out at every probe",
    ),
    Case(
        9,
        "an unknown kind",
        at("http://127.0.0.1:1/"),
        "kind: gopher",
        "prober: http\ngopher: {}",
        None,
        CONFIG_ERROR,
    ),
    Case(
        9,
        "an unknown key",
        at("http://127.0.0.1:1/"),
        "kind: http\nexpects: {status: [200]}",
        "prober: http\nhttp: {valid_status: [200]}",
        None,
        CONFIG_ERROR,
    ),
)

CASES = (*_COOKIES, *_SENDING, *_SCHEMES)
