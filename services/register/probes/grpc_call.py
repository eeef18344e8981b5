"""The gRPC part of a probe definition: the method, its descriptors, its request."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from services.core.model import Probe
from services.register.probes.references import read_file_reference
from services.register.reading import YamlMapping, unfit_for_grpc

_CALL: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)


def read_call(text: str) -> str:
    """Read a method, `package.Service/Method`."""
    if not _CALL.fullmatch(text.strip()):
        raise ValueError(f"`{text}` is not a method: write package.Service/Method")
    return text.strip()


def read_descriptors(text: str, directory: Path) -> str:
    """Read ``file:PATH`` of a descriptor set, which must exist; its content is read where it is used."""
    reference = read_file_reference(text, directory)
    path = Path(reference.removeprefix("file:"))
    try:
        empty = not path.read_bytes()
    except OSError as error:
        raise ValueError(f"`{path}` cannot be read: {error.strerror}") from None
    if empty:
        raise ValueError(f"`{path}` is empty: write it with protoc --include_imports --descriptor_set_out")
    return reference


def is_grpc_request(probe: Probe, body: str) -> bool:
    """Whether the filled body of a gRPC probe is JSON; always true for other kinds."""
    if probe.kind != "grpc" or not body:
        return True
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def check_call(probe: Probe, mapping: YamlMapping) -> None:
    """Add faults for keys that do not fit the call, or the health check when there is no call."""
    if probe.kind != "grpc":
        return
    if probe.call and probe.service:
        mapping.fault("service", "is for the health check: it is not used with `call`")
    for key in ("body", "descriptors"):
        if key in mapping and "call" not in mapping:
            mapping.fault(key, "is for a `call`: the health check needs none")
    if "$" not in probe.body and not is_grpc_request(probe, probe.body):
        mapping.fault("body", "is not JSON")
    for name, text in probe.headers.items():
        if unfit := unfit_for_grpc(name, text):
            mapping.fault("headers", f"`{name}` {unfit}")
    if probe.auth.header and (unfit := unfit_for_grpc(probe.auth.header, "")):
        mapping.fault("auth", f"`{probe.auth.header}` {unfit}")
