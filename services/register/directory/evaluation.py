"""evaluation_rounds.yaml: what the rounds of the official evaluation of agencies announced, kept as stated."""

from __future__ import annotations

import re
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
    read_number,
    read_weight,
    read_whole,
)

__all__ = ["EVALUATION", "read_evaluation"]

EVALUATION = "evaluation_rounds.yaml"

_COUNTRY = re.compile(r"[A-Z]{2}")
_MONTH = r"(?:19|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])"
_HELD = re.compile(rf"({_MONTH})(?:/({_MONTH}))?")
_NAMES = ("name_en", "name_fa")
_ROUND = (
    "round",
    "held",
    "agencies",
    "services_and_subservices",
    "overall_percent",
    "growth_since_round_1_percent_more_than",
    "dimension_percent",
    "also_taken_into_account",
    "announced_top_agencies",
    "stated_next_step",
    "stated_concerns",
)


def read_evaluation(directory: Path, findings: FaultList) -> Evaluation | None:
    """Read the official rounds, in order of their numbers; None without the file. What is null or absent was not stated."""
    path = directory / EVALUATION
    if not path.exists():
        return None
    block = read_document(path, findings, keys=("country", "note", "model", "rounds"))
    if block is None:
        return None
    dimensions = _dimensions(block)
    return Evaluation(
        country=block.need("country", _read_country, ""),
        dimensions=tuple(dimensions.values()),
        rounds=_rounds(block, dimensions),
        note=block.read("note", read_name, ""),
    )


def _dimensions(block: YamlMapping) -> dict[str, Dimension]:
    found: dict[str, Dimension] = {}
    for given in block.blocks("model", ("id", *_NAMES, "aim")):
        name = given.need("id", read_id, "")
        if name in found:
            given.fault("id", f"`{name}` is there twice")
        name_en, name_fa = _names(given)
        found[name] = Dimension(name, name_en, name_fa, given.read("aim", read_name, ""))
    return found


def _rounds(block: YamlMapping, dimensions: dict[str, Dimension]) -> tuple[EvaluationRound, ...]:
    if "rounds" not in block:
        block.findings.add(block.place, "key `rounds` is missing")
        return ()
    before = len(block.findings.faults)
    found: dict[int, EvaluationRound] = {}
    for given in block.blocks("rounds", _ROUND):
        one = _round(given, dimensions)
        if one.round in found:
            given.fault("round", f"{one.round} is there twice")
        found[one.round] = one
    if not found and len(block.findings.faults) == before:
        block.fault("rounds", "needs at least one; without any, leave the file out")
    return tuple(found[number] for number in sorted(found))


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
    scores = given.block("dimension_percent", None)
    if scores is None:
        return {}
    for key in scores.keys:
        if key not in dimensions:
            scores.findings.add(scores.key_at(key), f"dimension_percent: `{key}` is no dimension of `model`")
    return {key: scores.read(key, _read_percent, None) for key in scores.keys}


def _announced(given: YamlMapping) -> tuple[AnnouncedAgency, ...]:
    found: list[AnnouncedAgency] = []
    places: dict[str, Location] = {}
    for one in given.blocks("announced_top_agencies", _NAMES):
        named = AnnouncedAgency(*_names(one))
        for key, name in (("name_en", named.name_en), ("name_fa", named.name_fa)):
            same = name_key(name)
            if same and same in places:
                one.fault(key, f"`{name}` is already announced in line {places[same].line}")
            places[same] = one.at(key)
        found.append(named)
    return tuple(found)


def _names(given: YamlMapping) -> tuple[str, str]:
    name_en, name_fa = (given.read(key, read_name, "") for key in _NAMES)
    if not name_en and not name_fa:
        given.findings.add(given.place, "one of `name_en` and `name_fa` must be given")
    return name_en, name_fa


def _texts(given: YamlMapping, key: str) -> tuple[str, ...]:
    found = []
    for scalar in given.scalars(key):
        if scalar.null or not scalar.text.strip():
            given.findings.add(scalar.place, f"{key}: is empty")
        found.append(scalar.text.strip())
    return tuple(found)


def _read_country(text: str) -> str:
    if not _COUNTRY.fullmatch(text):
        raise ValueError(f"`{text}` is not a country: write the two capital letters of ISO 3166, such as IR")
    return text


def _read_held(text: str) -> str:
    folded = fold(text)
    found = _HELD.fullmatch(folded)
    if not found:
        raise ValueError(f"`{text}` is not a month of 1900-2199: write YYYY-MM or YYYY-MM/YYYY-MM, Gregorian")
    if found[2] is not None and found[2] < found[1]:
        raise ValueError(f"`{text}` ends before it begins")
    return folded


def _read_percent(text: str) -> float:
    if not 0 <= (percent := read_number(text)) <= 100:
        raise ValueError(f"`{text}` is not between 0 and 100")
    return percent
