"""Runs a simulated government on loopback, by ``python -m services.sandbox``."""

import sys

from services.core.runtime import run_component
from services.sandbox.component import main

if __name__ == "__main__":
    sys.exit(run_component("sandbox", main))
