"""Runs one command or one component of ``peyvand``. It imports them late, so that Ctrl-C is quiet from the start."""

from __future__ import annotations

import signal
import sys

from services.cli.components import named_component, run_component


def main() -> None:
    """Run the command or component that the command line names. Raises SystemExit."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell may have it ignored
    if raises:
        # Importing takes half a second. An interrupt ends it at once, rather than by a traceback of an import.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if component := named_component(sys.argv[1:]):
        run_component(component)  # handles signals by itself, once it is imported
        return
    from services.cli.command_line import run  # noqa: PLC0415  # not before Ctrl-C is dealt with

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
