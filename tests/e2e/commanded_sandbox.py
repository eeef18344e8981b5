"""A sandbox whose faults a test commands as it goes: `python -m tests.e2e.commanded_sandbox FILE …`.

FILE holds what ``command`` wrote last, in effect from the next slot on; without it nothing is wrong. What follows are the
settings of the sandbox.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from services.core.runtime import run
from services.sandbox import runner
from services.sandbox.__main__ import main
from services.sandbox.faults import Fault, Mode, Scope
from services.sandbox.timeline import Span, Timeline

__all__ = ["command"]


def command(file: Path, faults: Iterable[tuple[Scope, str, Mode]]) -> None:
    """Have a commanded sandbox show these faults, and no others, from its next slot on."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(list(faults)), "utf-8")
    new.rename(file)


def _timeline(file: Path) -> type[Timeline]:
    class Commanded(Timeline):
        """Of several faults of a target the one of the lowest stage strikes, as in a drawn timeline."""

        def state(self, slot: int) -> Mapping[str, Span]:
            faults = json.loads(file.read_text("utf-8")) if file.exists() else []
            struck: dict[str, list[Fault]] = {}
            for scope, subject, mode in faults:
                fault = Fault(Scope(scope), subject, Mode(mode), 0, 1, 0)
                for target in self._struck(fault):
                    struck.setdefault(target, []).append(fault)
            first = {
                target: min(found, key=lambda one, of=target: self._rank(of, one)) for target, found in struck.items()
            }
            return {target: Span(target, slot, slot + 1, one.mode, one.scope, 0) for target, one in first.items()}

    return Commanded


if __name__ == "__main__":
    runner.Timeline = _timeline(Path(sys.argv[1]))
    sys.exit(run("sandbox", main, sys.argv[2:]))
