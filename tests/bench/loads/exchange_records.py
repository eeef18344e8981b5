"""Make up exchange records: at least 840 bytes each, shuffled by the million, 1 % orphans, 1 % repeated."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from math import gcd
from pathlib import Path

__all__ = ["PAIRS", "SHORTEST", "line", "lines", "write_log"]

PAIRS = 500
"""Pairs of a client and an X-Road service, the n-th used 1/n as often as the first."""

SHORTEST = 840
"""Bytes of the shortest line."""

_BETWEEN_US = 4066  # between two exchanges: 492 records a second, 42.5 million a day, as on a country's bus
_START_MS = 1_800_000_000_000
_SHARES = list(accumulate(1 / number for number in range(1, PAIRS + 1)))
_SHUFFLED = 1_000_000
_SCATTER = 0x9E3779B97F4A7C15


def line(exchange: int, *, producer: bool, moment: int) -> bytes:
    """Return one side of an exchange of ``moment`` (epoch milliseconds), always the same for the same arguments."""
    chance = (exchange * _SCATTER) & 0xFFFFFFFFFFFFFFFF
    pair = bisect(_SHARES, chance / 2**64 * _SHARES[-1])
    client, provider = pair * 7919 % 97, pair * 104729 % 89
    start = moment + (chance >> 20) % 900 + (35 if producer else 0)
    inside = 5 + (chance >> 8) % 400
    request = f"{chance:016x}-{exchange:012d}-4a5b-8c7d"
    return (
        f'{{"monitoringDataTs": {start // 1000}, "securityServerInternalIp": "10.20.30.40", "securityServerType": '
        f'"{"Producer" if producer else "Client"}", "requestInTs": {start}, "requestOutTs": {start + 4}, "responseInTs": '
        f'{start + inside}, "responseOutTs": {start + inside + 5}, "clientXRoadInstance": "IR", "clientMemberClass": "GOV", '
        f'"clientMemberCode": "1000{client:04d}", "clientSubsystemCode": "desk", "serviceXRoadInstance": "IR", '
        f'"serviceMemberClass": "GOV", "serviceMemberCode": "2000{provider:04d}", "serviceSubsystemCode": "register", '
        f'"serviceCode": "inquiry{pair:03d}", "messageId": "m-{request}", "messageUserId": '
        f'"IR0123456789", "messageProtocolVersion": "4.0", "clientSecurityServerAddress": "ss{client}", '
        f'"serviceSecurityServerAddress": "ss{provider}", "requestSize": {1500 + inside}, "responseSize": '
        f'{1800 + inside}, "succeeded": true, "serviceType": '
        f'"WSDL", "xRequestId": "{request}"}}\n'
    ).encode()


def lines(records: int) -> Iterator[bytes]:
    """Yield so many lines, a multiple of 100, each million shuffled by itself.

    Every hundredth line repeats another, in place of the other side of that exchange.
    """
    for first in range(0, records, _SHUFFLED):
        count = min(_SHUFFLED, records - first)
        step = next(n for n in range(int(count * 0.618), 2 * count) if gcd(n, count) == 1)
        for place in range(count):
            number = first + place * step % count  # each number once, in an order that keeps no neighbours
            if number % 100 == 99:
                number -= 1
            exchange = number // 2
            moment = _START_MS + exchange * _BETWEEN_US // 1000
            yield line(exchange, producer=number % 2 == 1, moment=moment)


def write_log(path: Path, records: int) -> int:
    """Write a log, and return its size in bytes."""
    with path.open("wb", buffering=1 << 20) as out:
        out.writelines(lines(records))
    return path.stat().st_size
