"""A sandbox in which one link is broken in every slot and nothing else is: `python -m tests.e2e.broken_sandbox LINK …`.

What follows are the settings of the sandbox; it goes on with the run that lies in its folder.
"""

from __future__ import annotations

import sys

from services.core.runtime import run
from services.sandbox import timeline
from services.sandbox.__main__ import main
from services.sandbox.faults import CYCLE, Fault, Mode, Scope


def _broken(link: str) -> None:
    def draw(_wires: object, _seed: int, cycle: int, _intensity: float) -> tuple[Fault, ...]:
        return (Fault(Scope.LINK, link, Mode.HTTP_5XX, cycle * CYCLE, (cycle + 1) * CYCLE, 0),)

    timeline.draw = draw


if __name__ == "__main__":
    _broken(sys.argv[1])
    sys.exit(run("sandbox", main, sys.argv[2:]))
