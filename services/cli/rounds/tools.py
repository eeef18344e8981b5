"""Names what wrote the files of a round, so that a verification compares bytes only by the same (docs/rounds.md §2)."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.core.errors import SettingsError
from services.dataset.rounds import INDICATORS_FILE, ROUND_FILE, FrozenRound

FONTS: Final = Path("/usr/share/fonts/truetype/vazirmatn")
"""The folder of the fonts of reports."""

_LIBRARIES: Final = ("babel", "markdown-it-py", "markupsafe", "persiantools", "typst")
"""The libraries that write the texts of reports and set them."""

_PARQUET: Final = "pyarrow"
"""The library that writes the file of indicators, with its own version in it."""

_SERVICES: Final = Path(__file__).parents[2]
_REPORT: Final = (
    *("cli/rounds/report.py", "cli/rounds/derived.py", "cli/rounds/compare.py", "cli/rounds/templates/*"),
    *("console/texts/*.py", "console/catalogues/*.po"),
    *("core/model/*.py", "indicator/index/snapshot.py", "register/rounds.py"),
)
"""The code, the template and the texts that make a report of a round's numbers."""


def tools() -> dict[str, str]:
    """Return by name what writes the files of a round here. Raises SettingsError without the fonts.

    ``fonts`` and ``report`` are hashes of the fonts and of our own code, template and texts of reports, the others are
    versions of libraries. The same tools write the same bytes, whatever else a version of Peyvand changes.
    """
    fonts = sorted(FONTS.glob("Vazirmatn-*.ttf"))
    if not fonts:
        raise SettingsError(f"reports are set in Vazirmatn, which is not in {FONTS}: install fonts-vazirmatn")
    own = sorted({path for pattern in _REPORT for path in _SERVICES.glob(pattern)})
    return {
        "fonts": _hash(FONTS, fonts),
        "report": _hash(_SERVICES, own),
        **{library: version(library) for library in (*_LIBRARIES, _PARQUET)},
    }


def why_only_rows(frozen: FrozenRound) -> str:
    """Return, as a sentence, why only the rows of a round's indicators can be compared here; empty if bytes can."""
    there, here = frozen.tools.get(_PARQUET, "of no version"), version(_PARQUET)
    if there == here:
        return ""
    return f"the rows of {INDICATORS_FILE} were compared, and not its bytes: {_PARQUET} {there!r} wrote it, and here is {here}"


def why_not_set(frozen: FrozenRound) -> str:
    """Return why the reports of a round cannot be set again here, as part of a sentence; empty where they can."""
    try:
        here = tools()
    except SettingsError as error:
        return str(error)
    names = (here.keys() | frozen.tools.keys()) - {_PARQUET}
    other = sorted(name for name in names if here.get(name) != frozen.tools.get(name))
    if not other:
        return ""
    # Texts of round.json are quoted: no line break in one may pass for a line of ours.
    listed = ", ".join(name if name in here else repr(name) for name in other)
    why = f"{ROUND_FILE} names other tools than there are here ({listed})"
    if "report" in other and frozen.software == version("peyvand"):
        return f"{why}, although it names this version of Peyvand, {frozen.software}: one of the two was changed"
    return f"{why}, those of Peyvand {frozen.software!r}"


def _hash(root: Path, paths: list[Path]) -> str:
    """Return a hash of files with their names."""
    sums = (f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in paths)
    return sha256("".join(sums).encode()).hexdigest()
