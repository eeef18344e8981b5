"""Runs the scorer: wiring only."""

import sys

from services.core.runtime import run_component
from services.scorer.component import main

if __name__ == "__main__":
    sys.exit(run_component("scorer", main))
