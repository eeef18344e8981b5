"""Runs the scorer: wiring only."""

import sys

from services.core.runtime import run
from services.scorer.component import main

if __name__ == "__main__":
    sys.exit(run("scorer", main))
