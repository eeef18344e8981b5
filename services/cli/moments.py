"""Days and times on the command line."""

from __future__ import annotations

from datetime import datetime, tzinfo

from services.core.errors import SettingsError

__all__ = ["parse_moment"]


def parse_moment(text: str, zone: tzinfo) -> float | None:
    """Return a day or time in ISO 8601 as epoch seconds, in ``zone`` unless it has an offset; None for "".

    Raises SettingsError when it is neither.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"`{text}` is neither a day (2026-03-21) nor a time (2026-03-21T08:00+03:30)") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
