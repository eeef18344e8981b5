"""Runs the prober."""

import sys

from services.core.runtime import run
from services.prober.openssl import prefer
from services.prober.runner import main

if __name__ == "__main__":
    prefer(sys.argv[1:])
    sys.exit(run("prober", main))
