"""Audits a lock, by ``python -m deploy.audit LOCK [OPTION…]``.

pip-audit asks the database, and gets the options. It finds no vulnerability in a package that the database does not
know, and succeeds. So an audit by a mirror that has no such data looks like one that found nothing. Here every package
must be known, or the audit fails.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

from services.core.texts import plural

__all__ = ["main", "report"]

_COMMAND = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
_MOST_NAMED = 5


def report(dependencies: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return what to print of pip-audit's dependencies, and whether all are known and none has a vulnerability."""
    found = [
        f"{package['name']} {package['version']}: {one['id']}, fixed in {' or '.join(one['fix_versions']) or 'no version'}"
        for package in dependencies
        for one in package.get("vulns", ())
    ]
    unknown = [package["name"] for package in dependencies if "skip_reason" in package]
    if unknown:
        named = ", ".join(unknown[:_MOST_NAMED]) + (", …" if len(unknown) > _MOST_NAMED else "")
        found.append(
            f"the database does not know {len(unknown)} of {len(dependencies)} packages ({named}), so nothing is known of "
            "their vulnerabilities: name another with ARGS='--vulnerability-service osv'"
        )
    return found or [f"no vulnerability of {plural(len(dependencies), 'package')} is known"], not found


def main(arguments: list[str]) -> int:
    """Audit a lock, and return the exit code."""
    lock, *options = arguments
    program = shutil.which("pip-audit")
    if program is None:
        sys.stderr.write("pip-audit is not on the PATH: install it (pipx install pip-audit)\n")
        return 1
    done = subprocess.run(
        [program, *_COMMAND, "--requirement", lock, *options], capture_output=True, text=True, check=False
    )
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        *_, reason = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
        sys.stderr.write(f"no database of vulnerabilities was asked: {reason}\n")
        return 1
    lines, is_clean = report(dependencies)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
