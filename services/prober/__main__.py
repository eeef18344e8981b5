"""Runs the prober."""

import sys

from services.core.runtime import run_component
from services.prober.component import main
from services.prober.tls import restart_with_groups

if __name__ == "__main__":
    restart_with_groups(sys.argv[1:])
    sys.exit(run_component("prober", main))
