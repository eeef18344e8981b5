"""HTTP/1.1 and HTTP/2 exchanges, each over a fresh connection, and the OAuth2 tokens they need."""

from services.prober.http.content_coding import (
    DECODED_AT_ONCE,
    DecodeError,
    accepted_codings,
    decode_body,
    decode_headers,
)
from services.prober.http.cookies import add_cookies, keep_cookies
from services.prober.http.exchange import USER_AGENT, KeptRequest, send_request, wire_request
from services.prober.http.http2 import Http2Connection
from services.prober.http.http_connection import Http2Request, HttpConnection, WireRequest
from services.prober.http.oauth2 import access_token, token_issuer
from services.prober.http.token_cache import TokenCache, TokenIssuer

__all__ = [
    "DECODED_AT_ONCE",
    "USER_AGENT",
    "DecodeError",
    "Http2Connection",
    "Http2Request",
    "HttpConnection",
    "KeptRequest",
    "TokenCache",
    "TokenIssuer",
    "WireRequest",
    "accepted_codings",
    "access_token",
    "add_cookies",
    "decode_body",
    "decode_headers",
    "keep_cookies",
    "send_request",
    "token_issuer",
    "wire_request",
]
