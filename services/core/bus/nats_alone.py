"""Loads nats-py without aiohttp, before any other module loads it.

Where aiohttp is installed, for object stores, nats-py loads it to support WebSocket addresses, which the bus is never
given (``parse_urls``). It takes 7 to 10 MiB in each process.
"""

from __future__ import annotations

from services.core.imports import import_without

import_without("nats.aio.transport", "aiohttp")
