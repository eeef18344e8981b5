"""The ``peyvand`` command: runs one command or one component; an error is one sentence on stderr and exit code 1."""

from __future__ import annotations

import importlib.util
import runpy
import sys

from services.cli.commands import COMPONENTS, app
from services.core.errors import InputError, PeyvandError

__all__ = ["main"]


def main() -> None:
    """Run what the command line names. Raises SystemExit."""
    if sys.argv[1:2] and sys.argv[1] in COMPONENTS:
        _run_component(sys.argv[1])
        return
    try:
        app(prog_name="peyvand")
    except InputError as error:
        print(error.report(), file=sys.stderr)
        sys.exit(1)
    except PeyvandError as error:
        print(f"peyvand: {error}", file=sys.stderr)
        sys.exit(1)


def _run_component(name: str) -> None:
    """Run a component, which reads its flags, PEYVAND_* and settings file by itself."""
    if importlib.util.find_spec(f"services.{name}") is None:
        sys.exit(f"peyvand {name}: it is not part of this installation")  # images go without the sandbox
    sys.argv = [f"peyvand {name}", *sys.argv[2:]]
    runpy.run_module(f"services.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
