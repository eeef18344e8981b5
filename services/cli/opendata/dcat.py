"""Writes dcat.jsonld: the export as a catalogue that data portals harvest (DCAT-AP 3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from services.cli.opendata.files import MEDIA_TYPES, Contents, DataFile
from services.cli.opendata.tables import TABLES, Table

Node = dict[str, Any]

_CONTEXT: Final = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_AUTHORITY: Final = "http://publications.europa.eu/resource/authority"
_MEDIA: Final = "http://www.iana.org/assignments/media-types"
_LANGUAGES: Final = [{"@id": f"{_AUTHORITY}/language/FAS"}, {"@id": f"{_AUTHORITY}/language/ENG"}]


def dcat(contents: Contents) -> bytes:
    """Return the catalogue: a dataset for each table, with a distribution for each of its files.

    Addresses are below the policy's ``open_data.url``, else relative to the file itself.
    """
    stated = contents.stated
    base = f"{stated.url}/" if stated.url else ""
    publisher = {"@type": "foaf:Agent", "foaf:name": _both(contents.publisher("en"), contents.publisher("fa"))}
    catalogue: Node = {
        "@context": _CONTEXT,
        "@id": f"{base}dcat.jsonld",
        "@type": "dcat:Catalog",
        "dct:title": _both(contents.title("en"), contents.title("fa")),
        "dct:description": _both(
            f"Open data of {contents.first} to {contents.last}.", f"داده‌های باز از {contents.first} تا {contents.last}."
        ),
        "dct:publisher": publisher,
        "dct:language": _LANGUAGES,
        "dct:modified": _moment(contents.as_of),
        "dcat:dataset": [_dataset(table, contents, base, publisher) for table in TABLES],
    }
    if stated.licence:
        catalogue["dct:license"] = _licence(stated.licence)
    return (json.dumps(catalogue, ensure_ascii=False, indent=1) + "\n").encode()


def _dataset(table: Table, contents: Contents, base: str, publisher: Node) -> Node:
    columns = [(column.name, column.en, column.fa) for column in table.columns]
    return {
        "@id": f"{base}dcat.jsonld#{table.name}",
        "@type": "dcat:Dataset",
        "dct:identifier": table.name,
        "dct:title": _both(table.en, table.fa),
        "dct:description": _both(
            "; ".join(f"{name}: {en}" for name, en, _ in columns), "؛ ".join(f"{name}: {fa}" for name, _, fa in columns)
        ),
        "dct:publisher": publisher,
        "dct:language": _LANGUAGES,
        "dct:modified": _moment(contents.as_of),
        "dct:spatial": _place(contents),
        "dct:temporal": {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": _typed("date", contents.first),
            "dcat:endDate": _typed("date", contents.last),
        },
        "dcat:theme": {"@id": f"{_AUTHORITY}/data-theme/GOVE"},
        "dcat:version": contents.register.register_version,
        "dcat:distribution": [_distribution(file, base, contents.stated.licence) for file in contents.files_of(table)],
    }


def _distribution(file: DataFile, base: str, licence: str) -> Node:
    address = {"@id": f"{base}{file.name}"}
    node: Node = {
        "@id": f"{base}dcat.jsonld#{file.name}",
        "@type": "dcat:Distribution",
        "dct:title": file.name,
        "dcat:accessURL": address,
        "dcat:downloadURL": address,
        "dcat:mediaType": {"@id": f"{_MEDIA}/{MEDIA_TYPES[file.form]}"},
        "dct:format": {"@id": f"{_AUTHORITY}/file-type/{file.form.upper()}"},
        "dcat:byteSize": _typed("nonNegativeInteger", str(file.bytes)),
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": _typed("hexBinary", file.sha256),
        },
    }
    return node | ({"dct:license": _licence(licence)} if licence else {})


def _place(contents: Contents) -> Node:
    evaluation = contents.register.evaluation
    place: Node = {
        "@type": "dct:Location",
        "skos:prefLabel": _both(contents.government("en"), contents.government("fa")),
    }
    return place | ({"dct:identifier": evaluation.country} if evaluation else {})


def _licence(address: str) -> Node:
    return {"@id": address, "@type": "dct:LicenseDocument"}


def _both(english: str, persian: str) -> list[Node]:
    return [{"@value": persian, "@language": "fa"}, {"@value": english, "@language": "en"}]


def _typed(kind: str, value: str) -> Node:
    return {"@value": value, "@type": f"xsd:{kind}"}


def _moment(seconds: int) -> Node:
    return _typed("dateTime", f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}")
