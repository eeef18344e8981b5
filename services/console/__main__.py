"""Runs ``peyvand console``: wiring only."""

import sys

from services.console.component import main
from services.core.runtime import run_component

sys.exit(run_component("console", main))
