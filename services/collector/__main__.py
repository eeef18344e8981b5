"""Runs the collector: ``python -m services.collector``."""

import sys

from services.collector.component import main
from services.core.runtime import run_component

if __name__ == "__main__":
    sys.exit(run_component("collector", main))
