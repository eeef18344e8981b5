"""deploy/systemd, as far as it can be tried where systemd does not run the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.images.check import Failure, NotDone
from tests.support.paths import ROOT

__all__ = ["units_are_sound"]

_UNITS = ROOT / "deploy" / "systemd"
_INSTALLED = "/opt/peyvand/.venv/bin/"
_EXPOSURE = "20"  # of 100; systemd calls less than 50 OK


def units_are_sound(folder: Path) -> str:
    """Systemd finds no fault in any unit, and rates what each leaves open as little."""
    if shutil.which("systemd-analyze") is None:
        raise NotDone("systemd-analyze is not installed")
    here = folder / "systemd"
    commands = here / "bin"
    commands.mkdir(parents=True)
    units = sorted(path for path in _UNITS.iterdir() if path.suffix in (".service", ".target", ".timer"))
    for unit in units:
        text = unit.read_text("utf-8")
        for name in re.findall(rf"{_INSTALLED}([\w-]+)", text):
            (commands / name).unlink(missing_ok=True)
            (commands / name).symlink_to("/bin/true")
        (here / unit.name).write_text(text.replace(_INSTALLED, f"{commands}/"))
    copies = [str(here / unit.name) for unit in units]
    _analyse("verify", *copies)
    for copy in copies:
        if copy.endswith(".service"):
            _analyse("security", "--offline=true", f"--threshold={_EXPOSURE}", copy)
    return f"{len(units)} units"


def _analyse(*words: str) -> None:
    done = subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False)
    if done.returncode or (words[0] == "verify" and done.stderr.strip()):
        raise Failure(f"systemd-analyze {words[0]}: {done.stderr.strip() or done.stdout.strip()[-400:]}")
