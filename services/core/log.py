"""Structured logs: one canonical line per unit of work, JSON on stdout, no secrets, no personal data.

The command line does not need structlog at startup, so it is imported where a process first logs.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TypeAlias, cast

from services.core.imports import import_without

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

Logger: TypeAlias = "BoundLogger"


def configure_logging(component: str, level: str) -> None:
    """Set up logging of this process; ``level`` is debug, info, warning or error."""
    # structlog prints tracebacks with rich, which takes 4 MiB in each process. Here they are fields of a JSON line.
    import_without("structlog", "rich")
    import structlog  # noqa: PLC0415  # see above

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
    )
    structlog.contextvars.bind_contextvars(component=component)
    logging.basicConfig(level=logging.ERROR, stream=sys.stdout, format="%(message)s")


def logger() -> Logger:
    """Return the logger of this process."""
    import structlog  # noqa: PLC0415  # see above

    return cast("Logger", structlog.get_logger())
