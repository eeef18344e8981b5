"""Runs the archive: ``python -m services.archive``."""

import sys

from services.archive.component import main
from services.core.runtime import run_component

if __name__ == "__main__":
    sys.exit(run_component("archive", main))
