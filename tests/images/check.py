"""What is checked of the deployment: done or not done, and by which decision it may be left out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Checks", "Failure", "NotDone"]


class Failure(Exception):  # noqa: N818  # it is one
    """A check that found something wrong, in one sentence."""


class NotDone(Exception):  # noqa: N818  # it is no error
    """A check that this machine cannot do, and why."""


@dataclass
class Checks:
    """Runs checks one by one and keeps what came of each."""

    decisions: Path
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], str]) -> bool:
        """Do one check, which returns what it found in a few words; whether it was done and found nothing wrong."""
        started = time.monotonic()
        try:
            result, words = "ok", check()
        except NotDone as reason:
            result, words = "not run", str(reason)
        except Failure as failure:
            result, words = "FAILED", str(failure)
        except Exception as error:  # noqa: BLE001  # a fault of the check itself, told beside those of the others
            result, words = "FAILED", f"{type(error).__name__}: {error}"
        self._say(name, result, f"{words} ({time.monotonic() - started:.0f} s)")
        return result == "ok"

    def leave_out(self, name: str, reason: str) -> None:
        """Note a check that is not done here."""
        self._say(name, "not run", reason)

    def _say(self, name: str, result: str, words: str) -> None:
        self.rows.append((name, result, words))
        _print(f"{result:8} {name}: {words}")

    def decided(self, name: str) -> str:
        """Return the file name of the decision that names this check, in backquotes, as not run; empty when none does."""
        found = [path.name for path in sorted(self.decisions.glob("*.md")) if f"not run: `{name}`" in path.read_text()]
        return found[0] if found else ""

    def verdict(self) -> int:
        """Print what was run and what was not; return the exit code."""
        failed = [name for name, result, _ in self.rows if result == "FAILED"]
        left_out = [name for name, result, _ in self.rows if result == "not run"]
        undecided = [name for name in left_out if not self.decided(name)]
        _print("\nRun and not run:")
        for name, result, words in self.rows:
            decision = f" [{self.decided(name) or 'no decision names it'}]" if result == "not run" else ""
            _print(f"  {result:8} {name}: {words}{decision}")
        passed = len(self.rows) - len(failed) - len(left_out)
        _print(f"{passed} passed, {len(failed)} failed, {len(left_out)} skipped")
        if undecided and os.environ.get("CI") == "true":
            _print(f"not run, and no decision names it: {', '.join(undecided)}")
            return 1
        return 1 if failed else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
