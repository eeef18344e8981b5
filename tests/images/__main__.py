"""``make test-images``: builds the image, runs the whole stack, kills parts of it, and says what was checked.

With ``--keep FOLDER`` an engine of our own keeps its images there for the next time; such a folder is removed by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.images.check import Checks, NotDone
from tests.images.engine import running_engine
from tests.images.images import build_base, build_ours, build_stand_ins, image_is_as_promised
from tests.images.operated import backed_up, seed_is_replaced
from tests.images.stack import running_stack
from tests.images.tested import passes
from tests.images.trials import nothing_is_lost, watched
from tests.images.units import units_are_sound
from tests.support.paths import ROOT

_STACK = (
    "the base image",
    "the image of deploy/Dockerfile",
    "what the image promises",
    "stand-ins for upstream images",
    "the stack of deploy/compose.yaml",
    "Prometheus and Alertmanager in the stack",
    "nothing lost under kills",
    "a backup of the stack",
    "a seed replaced in the stack",
    "a clean end of the stack",
)


def _containers(checks: Checks, keep: Path | None) -> None:
    """Everything that needs an engine; each step needs the one before."""
    left = list(_STACK)
    try:
        with running_engine(keep) as engine:
            steps = (build_base, build_ours, image_is_as_promised, build_stand_ins)
            for step in steps:
                _do(checks, left.pop(0), partial(step, engine))
            with running_stack(engine) as stack:
                for act in (
                    stack.up,
                    lambda: watched(stack),
                    lambda: nothing_is_lost(stack),
                    lambda: backed_up(stack),
                    lambda: seed_is_replaced(stack),
                    stack.stop,
                ):
                    _do(checks, left.pop(0), act)
    except NotDone as reason:
        for name in left:
            checks.leave_out(name, str(reason))


def _do(checks: Checks, name: str, act: Callable[[], str]) -> None:
    """Do one step. Raises NotDone for what follows when it was not well."""
    if not checks.run(name, act):
        raise NotDone(f"it needs {name}")


def main() -> int:
    """Run every check this machine can; the exit code says whether one failed, or was left out without a decision."""
    parser = argparse.ArgumentParser(prog="make test-images")
    parser.add_argument("--keep", type=Path, help="folder of an engine whose images stay")
    checks = Checks(ROOT / "docs" / "adr")
    keep = parser.parse_args().keep
    with TemporaryDirectory() as folder:
        checks.run("systemd units", lambda: units_are_sound(Path(folder)))
    checks.run("the units' and the stack's words", lambda: passes("unit/deploy", "test_units or test_compose"))
    checks.run("the chart", lambda: passes("unit/deploy", "test_chart"))
    checks.run("nats-server -t", lambda: passes("integration", "test_nats_server_accepts"))
    _containers(checks, keep)
    checks.leave_out("Grafana in the stack", "its image can be had from its makers alone")
    checks.leave_out(
        "upstream images in the stack", "NATS, Prometheus and Alertmanager run from Debian's packages instead"
    )
    checks.leave_out("systemd units on a host", "systemd does not run this machine")
    checks.leave_out("the chart in a cluster", "no Kubernetes is near")
    return checks.verdict()


if __name__ == "__main__":
    sys.exit(main())
