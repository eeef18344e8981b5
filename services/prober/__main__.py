"""Runs the prober."""

import sys

from services.core.runtime import run
from services.prober.runner import main

if __name__ == "__main__":
    sys.exit(run("prober", main))
