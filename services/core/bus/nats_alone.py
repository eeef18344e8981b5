"""Loads nats-py without aiohttp, before any other module loads it.

Where aiohttp is installed, for object stores, nats-py loads it to support WebSocket addresses, which the bus is never
given (``parse_urls``). It takes 7 to 10 MiB in each process.
"""

from __future__ import annotations

import sys
from importlib import import_module

_NAME = "aiohttp"

if _NAME not in sys.modules:
    sys.modules[_NAME] = None  # type: ignore[assignment]  # the documented way to have an import find nothing
    try:
        import_module("nats.aio.transport")
    finally:
        del sys.modules[_NAME]
