"""Writes datapackage.json: every file with its hash and columns, as a Data Package (datapackage.org, version 2)."""

from __future__ import annotations

import json
from typing import Any, Final

from services.cli.opendata.files import MEDIA_TYPES, Contents, DataFile
from services.cli.opendata.tables import Column, Table

_PROFILE: Final = "https://datapackage.org/profiles/2.0/datapackage.json"


def datapackage(contents: Contents) -> bytes:
    """Return the description of an export; it has keys of its own where the profile has none, as for Persian texts."""
    stated, register = contents.stated, contents.register
    document: dict[str, Any] = {
        "$schema": _PROFILE,
        "name": f"peyvand-{register.policy.government.id}",
        "title": contents.title("en"),
        "title_fa": contents.title("fa"),
        "temporal": {"start": contents.first, "end": contents.last},
        "as_of": contents.as_of,
        "versions": {
            "register": register.register_version,
            "probe": register.probe_version,
            "method": contents.method_version,
        },
        "contributors": [
            {"title": contents.publisher("en"), "title_fa": contents.publisher("fa"), "roles": ["publisher"]}
        ],
        "resources": [_resource(file) for file in contents.files],
    }
    if stated.licence:
        document["licenses"] = [{"path": stated.licence}]
    if stated.url:
        document["homepage"] = stated.url
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _resource(file: DataFile) -> dict[str, Any]:
    table, is_csv = file.table, file.form == "csv"
    resource = {
        "name": table.name if is_csv else f"{table.name}-{file.form}",
        "title": table.en,
        "title_fa": table.fa,
        "path": file.name,
        "format": file.form,
        "mediatype": MEDIA_TYPES[file.form],
        "bytes": file.bytes,
        "hash": f"sha256:{file.sha256}",
    }
    # Both files of a table have the same columns; the schema is with the one that every tool reads.
    return resource | ({"type": "table", "encoding": "utf-8", "schema": _schema(table)} if is_csv else {})


def _schema(table: Table) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "fields": [_field(column) for column in table.columns],
        "primaryKey": list(table.key),
        "missingValues": [""],
    }
    if table.refers:
        schema["foreignKeys"] = [
            {"fields": [column], "reference": {"resource": other, "fields": ["id"]}}
            for column, other in table.refers.items()
        ]
    return schema


def _field(column: Column) -> dict[str, str]:
    return {"name": column.name, "type": column.type, "description": column.en, "description_fa": column.fa}
