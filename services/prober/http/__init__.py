"""HTTP/1.1 and HTTP/2 exchanges, each over a fresh connection, and the OAuth2 tokens they need."""

from services.prober.http.content_coding import (
    DecodeError,
    LimitError,
    decodable,
    decode,
    decode_headers,
)
from services.prober.http.exchange import (
    Answer,
    AnyConnection,
    Call,
    call_of,
    hop,
)
from services.prober.http.http2 import (
    Http2Connection,
    Request,
)
from services.prober.http.oauth2 import (
    access_token,
    issuer_of,
)
from services.prober.http.token_cache import (
    Issuer,
    Tokens,
)

__all__ = [
    "Answer",
    "AnyConnection",
    "Call",
    "DecodeError",
    "Http2Connection",
    "Issuer",
    "LimitError",
    "Request",
    "Tokens",
    "access_token",
    "call_of",
    "decodable",
    "decode",
    "decode_headers",
    "hop",
    "issuer_of",
]
