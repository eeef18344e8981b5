"""Reads evaluation_rounds.yaml, the announced results of the official evaluation of agencies, kept as stated."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from services.core.model import AnnouncedAgency, Evaluation, EvaluationRound, StatedFigure
from services.core.texts import fold, name_key
from services.register.directory.evaluation_models import NAMES, Models, read_models, read_names
from services.register.faults import FaultList, Location
from services.register.reading import (
    YamlMapping,
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
_ROUND = tuple(field.name for field in fields(EvaluationRound))
_CITED = tuple(key for key in _ROUND if key not in ("round", "note", "sources"))
_FIGURES = (
    *("agencies", "services_and_subservices", "overall_percent", "overall_percent_more_than"),
    *("growth_since_round_1_percent_more_than", "dimension_percent", "also_stated"),
)
"""The figures that a reader would want to look up: each stated one should name its sources."""

_read_percent = partial(read_share, whole=100)


def read_evaluation(directory: Path, faults: FaultList) -> Evaluation | None:
    """Read the official rounds in order of their numbers; None without the file. Null or absent means not stated."""
    path = directory / EVALUATION
    if not path.exists():
        return None
    mapping = read_document(path, faults, keys=("country", "note", "model", "rounds"))
    if mapping is None:
        return None
    models = read_models(mapping)
    return Evaluation(
        country=mapping.need("country", _read_country, ""),
        dimensions=tuple(dimension for dimensions in models.values() for dimension in dimensions.values()),
        rounds=_rounds(mapping, models),
        note=mapping.read("note", read_name, ""),
    )


def _rounds(mapping: YamlMapping, models: Models) -> tuple[EvaluationRound, ...]:
    if not mapping.require("rounds"):
        return ()
    before = len(mapping.faults)
    rounds: dict[int, EvaluationRound] = {}
    for given in mapping.mappings("rounds", _ROUND):
        result = _round(given, models)
        if result.round in rounds:
            given.fault("round", f"{result.round} is there twice")
        rounds[result.round] = result
    if not rounds and len(mapping.faults) == before:
        mapping.fault("rounds", "needs at least one; without any, leave the file out")
    return tuple(rounds[number] for number in sorted(rounds))


def _round(given: YamlMapping, models: Models) -> EvaluationRound:
    number = given.need("round", read_count, 0)
    model = given.read("model", read_id, "")
    if model and model not in models:
        given.fault("model", f"`{model}` is none of the models of this file")
    growth = given.read("growth_since_round_1_percent_more_than", read_weight, None)
    if growth is not None and number == 1:
        given.fault("growth_since_round_1_percent_more_than", "round 1 cannot have grown since itself")
    overall = given.read("overall_percent", _read_percent, None)
    more_than = given.read("overall_percent_more_than", _read_percent, None)
    if overall is not None and more_than is not None:
        given.fault("overall_percent_more_than", "the score itself is stated, as `overall_percent`")
    result = EvaluationRound(
        round=number,
        model=model,
        held=given.read("held", _read_held, ""),
        agencies=given.read("agencies", read_whole, None),
        services_and_subservices=given.read("services_and_subservices", read_whole, None),
        overall_percent=overall,
        overall_percent_more_than=more_than,
        growth_since_round_1_percent_more_than=growth,
        dimension_percent=_percents(given, model, models),
        also_stated=_stated(given),
        also_taken_into_account=_texts(given, "also_taken_into_account"),
        announced_top_agencies=_announced(given, "announced_top_agencies"),
        announced_weakest_agencies=_announced(given, "announced_weakest_agencies"),
        stated_next_step=given.read("stated_next_step", read_name, ""),
        stated_concerns=_texts(given, "stated_concerns"),
        note=given.read("note", read_name, ""),
    )
    return replace(result, sources=_sources(given, result))


def _percents(given: YamlMapping, model: str, models: Models) -> dict[str, float | None]:
    scores = given.mapping("dimension_percent", None)
    if scores is None:
        return {}
    if not model and model not in models:
        given.fault("dimension_percent", f"the round names no `model`: one of {', '.join(models)}")
    for key in scores.keys:
        if model in models and key not in models[model]:
            name = f"`{model}`" if model else "`model`"
            scores.faults.add(scores.key_at(key), f"dimension_percent: `{key}` is no dimension of {name}")
    return {key: scores.read(key, _read_percent, None) for key in scores.keys}


def _stated(given: YamlMapping) -> tuple[StatedFigure, ...]:
    return tuple(
        StatedFigure(*read_names(item), item.need("value", read_weight, 0.0))
        for item in given.mappings("also_stated", (*NAMES, "value"))
    )


def _sources(given: YamlMapping, result: EvaluationRound) -> dict[str, tuple[str, ...]]:
    cited = given.part("sources", _CITED)
    sources = {key: _texts(cited, key) for key in cited.keys}
    for key in sources:
        if not _is_stated(result, key):
            cited.faults.add(cited.key_at(key), f"sources: the round does not state `{key}`")
    for key in _FIGURES:
        if _is_stated(result, key) and not sources.get(key):
            given.warn(key, "has no source: name it under `sources`")
    return sources


def _is_stated(result: EvaluationRound, key: str) -> bool:
    value = getattr(result, key)
    if key == "dimension_percent":
        return any(score is not None for score in value.values())
    return value is not None and value not in ("", ())


def _announced(given: YamlMapping, key: str) -> tuple[AnnouncedAgency, ...]:
    agencies: list[AnnouncedAgency] = []
    locations: dict[str, Location] = {}
    for item in given.mappings(key, NAMES):
        agency = AnnouncedAgency(*read_names(item))
        for column, name in (("name_en", agency.name_en), ("name_fa", agency.name_fa)):
            folded = name_key(name)
            if folded and folded in locations:
                item.fault(column, f"`{name}` is already announced in line {locations[folded].line}")
            locations[folded] = item.at(column)
        agencies.append(agency)
    return tuple(agencies)


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
