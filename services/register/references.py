"""Restores references of probes to files as written in probes.yaml, for hashes and diffs of a register. Pure.

This is a separate module because the reader of probe definitions loads libraries that readers of the bus do not need.
"""

from __future__ import annotations

from dataclasses import replace

from services.core.model import Probe

FILE = "file:"
MARK = "/./"
"""Separates the register directory from the path as written."""


def with_written_references(probe: Probe) -> Probe:
    """Return the probe and its steps with references as written in probes.yaml."""
    auth, tls = probe.auth, probe.tls
    return replace(
        probe,
        auth=replace(
            auth,
            password=_written(auth.password),
            token=_written(auth.token),
            key=_written(auth.key),
            client_secret=_written(auth.client_secret),
        ),
        tls=replace(tls, ca=_written(tls.ca), certificate=_written(tls.certificate), key=_written(tls.key)),
        proxy=replace(probe.proxy, password=_written(probe.proxy.password)),
        descriptors=_written(probe.descriptors),
        steps=tuple(replace(step, probe=with_written_references(step.probe)) for step in probe.steps),
    )


def _written(reference: str) -> str:
    path = reference.removeprefix(FILE)
    if not reference.startswith(FILE) or MARK not in path:
        return reference
    return FILE + path.split(MARK, 1)[1]
