"""What a probe definition of kind grpc calls: the method, its descriptors, its request."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from services.core.model import Probe
from services.register.probes.references import read_file_reference
from services.register.reading import YamlMapping, unfit_for_grpc

__all__ = ["check_call", "is_grpc_request", "read_call", "read_descriptors"]

_CALL: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)


def read_call(text: str) -> str:
    """Read a method, `package.Service/Method`."""
    if not _CALL.fullmatch(text.strip()):
        raise ValueError(f"`{text}` is not a method: write package.Service/Method")
    return text.strip()


def read_descriptors(text: str, directory: Path) -> str:
    """Read ``file:PATH`` of a descriptor set, which must be there; what it holds is read where it is used."""
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
    """Whether what a probe sends, filled in, is JSON; of kinds that send something else, always."""
    if probe.kind != "grpc" or not body:
        return True
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def check_call(probe: Probe, block: YamlMapping) -> None:
    """Add a fault for what does not go with the call, or with the health check where there is none."""
    if probe.kind != "grpc":
        return
    if probe.call and probe.service:
        block.fault("service", "is for the health check: with `call` it is not asked for")
    for key in ("body", "descriptors"):
        if key in block and "call" not in block:
            block.fault(key, "is for a `call`: the health check needs none")
    if "$" not in probe.body and not is_grpc_request(probe, probe.body):
        block.fault("body", "is not JSON")
    for name, text in probe.headers.items():
        if unfit := unfit_for_grpc(name, text):
            block.fault("headers", f"`{name}` {unfit}")
    if probe.auth.header and (unfit := unfit_for_grpc(probe.auth.header, "")):
        block.fault("auth", f"`{probe.auth.header}` {unfit}")
