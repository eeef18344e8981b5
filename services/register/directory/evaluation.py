"""evaluation_rounds.yaml: the announced results of the official evaluation of agencies, kept as stated."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from services.core.model import AnnouncedAgency, Dimension, Evaluation, EvaluationRound
from services.register.reading import (
    FaultList,
    Location,
    YamlMapping,
    fold,
    name_key,
    read_count,
    read_document,
    read_id,
    read_name,
    read_share,
    read_weight,
    read_whole,
)

EVALUATION = "evaluation_rounds.yaml"

_COUNTRY = re.compile(r"[A-Z]{2}")
_MONTH = r"(?:19|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])"
_HELD = re.compile(rf"({_MONTH})(?:/({_MONTH}))?")
_NAMES = ("name_en", "name_fa")
_ROUND = tuple(field.name for field in fields(EvaluationRound))


def read_evaluation(directory: Path, faults: FaultList) -> Evaluation | None:
    """Read the official rounds in order of their numbers; None without the file. Null or absent means not stated."""
    path = directory / EVALUATION
    if not path.exists():
        return None
    mapping = read_document(path, faults, keys=("country", "note", "model", "rounds"))
    if mapping is None:
        return None
    dimensions = _dimensions(mapping)
    return Evaluation(
        country=mapping.need("country", _read_country, ""),
        dimensions=tuple(dimensions.values()),
        rounds=_rounds(mapping, dimensions),
        note=mapping.read("note", read_name, ""),
    )


def _dimensions(mapping: YamlMapping) -> dict[str, Dimension]:
    dimensions: dict[str, Dimension] = {}
    for given in mapping.mappings("model", ("id", *_NAMES, "aim")):
        name = given.need("id", read_id, "")
        if name in dimensions:
            given.fault("id", f"`{name}` is there twice")
        name_en, name_fa = _names(given)
        dimensions[name] = Dimension(name, name_en, name_fa, given.read("aim", read_name, ""))
    return dimensions


def _rounds(mapping: YamlMapping, dimensions: dict[str, Dimension]) -> tuple[EvaluationRound, ...]:
    if not mapping.require("rounds"):
        return ()
    before = len(mapping.faults)
    rounds: dict[int, EvaluationRound] = {}
    for given in mapping.mappings("rounds", _ROUND):
        result = _round(given, dimensions)
        if result.round in rounds:
            given.fault("round", f"{result.round} is there twice")
        rounds[result.round] = result
    if not rounds and len(mapping.faults) == before:
        mapping.fault("rounds", "needs at least one; without any, leave the file out")
    return tuple(rounds[number] for number in sorted(rounds))


def _round(given: YamlMapping, dimensions: dict[str, Dimension]) -> EvaluationRound:
    number = given.need("round", read_count, 0)
    growth = given.read("growth_since_round_1_percent_more_than", read_weight, None)
    if growth is not None and number == 1:
        given.fault("growth_since_round_1_percent_more_than", "round 1 cannot have grown since itself")
    return EvaluationRound(
        round=number,
        held=given.read("held", _read_held, ""),
        agencies=given.read("agencies", read_whole, None),
        services_and_subservices=given.read("services_and_subservices", read_whole, None),
        overall_percent=given.read("overall_percent", _read_percent, None),
        growth_since_round_1_percent_more_than=growth,
        dimension_percent=_percents(given, dimensions),
        also_taken_into_account=_texts(given, "also_taken_into_account"),
        announced_top_agencies=_announced(given),
        stated_next_step=given.read("stated_next_step", read_name, ""),
        stated_concerns=_texts(given, "stated_concerns"),
    )


def _percents(given: YamlMapping, dimensions: dict[str, Dimension]) -> dict[str, float | None]:
    scores = given.mapping("dimension_percent", None)
    if scores is None:
        return {}
    for key in scores.keys:
        if key not in dimensions:
            scores.faults.add(scores.key_at(key), f"dimension_percent: `{key}` is no dimension of `model`")
    return {key: scores.read(key, _read_percent, None) for key in scores.keys}


def _announced(given: YamlMapping) -> tuple[AnnouncedAgency, ...]:
    agencies: list[AnnouncedAgency] = []
    locations: dict[str, Location] = {}
    for item in given.mappings("announced_top_agencies", _NAMES):
        agency = AnnouncedAgency(*_names(item))
        for key, name in (("name_en", agency.name_en), ("name_fa", agency.name_fa)):
            folded = name_key(name)
            if folded and folded in locations:
                item.fault(key, f"`{name}` is already announced in line {locations[folded].line}")
            locations[folded] = item.at(key)
        agencies.append(agency)
    return tuple(agencies)


def _names(given: YamlMapping) -> tuple[str, str]:
    name_en, name_fa = (given.read(key, read_name, "") for key in _NAMES)
    if not name_en and not name_fa:
        given.faults.add(given.location, "one of `name_en` and `name_fa` must be given")
    return name_en, name_fa


def _texts(given: YamlMapping, key: str) -> tuple[str, ...]:
    scalars = given.scalars(key)
    for scalar in scalars:
        if scalar.null or not scalar.text.strip():
            given.faults.add(scalar.location, f"{key}: is empty")
    return tuple(scalar.text.strip() for scalar in scalars)


def _read_country(text: str) -> str:
    if not _COUNTRY.fullmatch(text):
        raise ValueError(f"`{text}` is not a country: write the two capital letters of ISO 3166, such as IR")
    return text


def _read_held(text: str) -> str:
    folded = fold(text)
    match = _HELD.fullmatch(folded)
    if not match:
        raise ValueError(f"`{text}` is not a month of 1900-2199: write YYYY-MM or YYYY-MM/YYYY-MM, Gregorian")
    if match[2] is not None and match[2] < match[1]:
        raise ValueError(f"`{text}` ends before it begins")
    return folded


def _read_percent(text: str) -> float:
    return read_share(text, 100)
