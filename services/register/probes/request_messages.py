"""Reads and checks request messages of probes: the gRPC call with its method and descriptors, the SOAP message, lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from lxml import etree

from services.core.model import SOAP_KINDS, Probe, placeholders
from services.core.xml import XmlError, parse_xml
from services.register.probes.references import read_content, read_file_reference
from services.register.reading import YamlMapping, holds_control, unfit_for_grpc

_CALL: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)
_ENVELOPES: Final = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
_SENT_AS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def read_call(text: str) -> str:
    """Read a method, `package.Service/Method`."""
    if not _CALL.fullmatch(text.strip()):
        raise ValueError(f"`{text}` is not a method: write package.Service/Method")
    return text.strip()


def read_descriptors(text: str, directory: Path) -> str:
    """Read ``file:PATH`` of a descriptor set, which must exist; its content is read where it is used."""
    reference = read_file_reference(text, directory)
    if not read_content(reference, directory):
        path = Path(reference.removeprefix("file:"))
        raise ValueError(f"`{path}` is empty: write it with protoc --include_imports --descriptor_set_out")
    return reference


def is_grpc_request(probe: Probe, body: str) -> bool:
    """Return whether the filled body of a gRPC probe is JSON; always true for other kinds."""
    if probe.kind != "grpc" or not body:
        return True
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def is_line(text: str) -> bool:
    """Return whether a text can be sent as one line. For lines that end in CRLF it ends in CR, as for blackbox_exporter."""
    return {"\n", "\r"}.isdisjoint(text.removesuffix("\r"))


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


def read_action(text: str) -> str:
    """Read a SOAP action."""
    placeholders(text)
    if not is_soap_action(text) or holds_control(text):
        raise ValueError("holds a quote, a backslash or a control character")
    return text.strip()


def is_soap_action(text: str) -> bool:
    """Return whether a SOAP action can be sent between quotes without escapes."""
    return not {'"', "\\"} & set(text)


def is_soap_message(probe: Probe, body: str) -> bool:
    """Return whether the filled body of a SOAP probe is XML; always true for other kinds."""
    if probe.kind not in SOAP_KINDS:
        return True
    try:
        parse_xml(body.encode())
    except XmlError:
        return False
    return True


def check_message(probe: Probe, mapping: YamlMapping) -> None:
    """Add a fault when the body, with its placeholders, is not a message of the definition's kind."""
    if probe.kind not in SOAP_KINDS or not probe.body:
        return
    try:
        root = parse_xml(probe.body.encode())
    except XmlError as error:
        mapping.fault("body", str(error))
        return
    encoding = root.getroottree().docinfo.encoding
    if encoding and encoding.lower() not in _SENT_AS:
        mapping.fault("body", f"declares the encoding {encoding}: it is sent as UTF-8")
    if probe.kind == "soap":
        _check_envelope(root, probe.soap, mapping)
    else:
        _check_wrapper(root, probe.service, mapping)


def _check_envelope(root: etree._Element, version: str, mapping: YamlMapping) -> None:
    uri = _ENVELOPES[version]
    if root.tag != f"{{{uri}}}Envelope" or root.find(f"{{{uri}}}Body") is None:
        mapping.fault("body", f"is not an envelope of SOAP {version}: Envelope with Body, of namespace {uri}")


def _check_wrapper(root: etree._Element, service: str, mapping: YamlMapping) -> None:
    """Check that the body is one element, named as the service (PR-MESS §2.3)."""
    name = etree.QName(root)
    if name.namespace in _ENVELOPES.values():
        mapping.fault("body", "is what stands in soap:Body, without the envelope: that is added")
        return
    parts = service.split("/")
    code = parts[4] if len(parts) == 6 else parts[-1]
    if code and "$" not in code and name.localname != code:
        mapping.fault("body", f"its element `{name.localname}` is not named as the service, `{code}`")
