"""``peyvand api``: wiring only."""

import sys

from services.api.runner import main
from services.core.runtime import run

sys.exit(run("api", main))
