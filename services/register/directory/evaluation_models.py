"""Reads the models of the official evaluation in evaluation_rounds.yaml: the dimensions by which agencies are scored."""

from __future__ import annotations

from services.core.model import Dimension
from services.register.reading import YamlMapping, read_id, read_name

NAMES = ("name_en", "name_fa")

Models = dict[str, dict[str, Dimension]]
"""Model id → its dimensions by id; the id is empty when the file does not name its only model."""


def read_models(mapping: YamlMapping) -> Models:
    """Read `model`: a list of dimensions, or such lists by the id of their model."""
    models: Models = {}
    if not mapping.is_mapping("model") or mapping.is_empty("model"):
        _add_model(models, "", mapping, "model")
        return models
    for key, named in mapping.entries("model"):
        if named.is_empty(key):
            named.fault(key, "lists no dimension")
        _add_model(models, named.faults.attempt(named.key_at(key), "model", read_id, key, key), named, key)
    return models


def _add_model(models: Models, model: str, mapping: YamlMapping, key: str) -> None:
    dimensions = models.setdefault(model, {})
    for given in mapping.mappings(key, ("id", *NAMES, "aim")):
        name = given.need("id", read_id, "")
        if any(name in others for others in models.values()):
            given.fault("id", f"`{name}` is there twice")
        name_en, name_fa = read_names(given)
        dimensions[name] = Dimension(name, name_en, name_fa, given.read("aim", read_name, ""), model)


def read_names(given: YamlMapping) -> tuple[str, str]:
    """Read the names in both languages; it is a fault if both are missing."""
    name_en, name_fa = (given.read(key, read_name, "") for key in NAMES)
    if not name_en and not name_fa:
        given.faults.add(given.location, "one of `name_en` and `name_fa` must be given")
    return name_en, name_fa
