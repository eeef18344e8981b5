"""SQLite files whose rows have checksums: SQLite notices damage to its structure, but not to values (ADR 67)."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from services.core.files import set_aside

_DAMAGES: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLite's codes for damage that it notices. In no other case do our own statements give a code as general as these."""

_FILES: Final = ("", "-wal", "-shm")
"""What SQLite appends to the name of a database to name the files that belong to it."""


class DamagedDatabaseError(Exception):
    """A row, the schema or the structure of a database is not what was written."""


def row_check(*columns: str) -> str:
    """Return the definition of a table's last column, the checksum of all others. SQLite keeps it up to date."""
    return f"intact INTEGER AS (checksum({', '.join(columns)})) STORED"


def connect(path: Path | str, **options: Any) -> sqlite3.Connection:
    """Connect to a database with such tables; ``options`` are those of sqlite3. Raises sqlite3.Error."""
    database: sqlite3.Connection = sqlite3.connect(path, **options)
    database.create_function("checksum", -1, checksum, deterministic=True)
    database.execute("PRAGMA trusted_schema = ON")  # some builds do not let a schema call functions of ours
    return database


def schema_of(database: sqlite3.Connection) -> set[str]:
    """Return the definitions of all tables and indexes. Raises sqlite3.Error."""
    return {sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def schema_in(script: str) -> set[str]:
    """Return the definitions that a script creates."""
    with closing(connect(":memory:")) as database:
        database.executescript(script)
        return schema_of(database)


def verify(database: sqlite3.Connection, schema: str, *, without: Collection[str] = ()) -> None:
    """Check the schema, every row and the structure, which takes some 3 s for a million rows.

    Tables ``without`` are left to their owner. The structure is then that of each other table alone.
    Raises DamagedDatabaseError, and sqlite3.Error when the file cannot be read.
    """
    try:
        if schema_of(database) != schema_in(schema):
            raise DamagedDatabaseError("its schema")
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        checked = [table for table in tables if table not in without]
        for part in checked if without else ["1"]:
            if database.execute(f"PRAGMA integrity_check({part})").fetchall() != [("ok",)]:
                raise DamagedDatabaseError("its structure")
        for table in checked:
            rows = f"SELECT 1 FROM {table} WHERE intact IS NOT {check_of(database, table)} LIMIT 1"  # noqa: S608  # ours
            if database.execute(rows).fetchone() is not None:
                raise DamagedDatabaseError(f"a row of table {table}")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if is_damage(error):
            raise DamagedDatabaseError(str(error)) from error
        raise


def check_of(database: sqlite3.Connection, table: str) -> str:
    """Return the SQL of the checksum of a table's rows. Raises sqlite3.Error."""
    columns = database.execute(f"PRAGMA table_info({table})")  # those that SQLite makes itself are not listed
    return f"checksum({', '.join(column[1] for column in columns)})"


def is_damage(error: Exception) -> bool:
    """Return whether an error shows that the file is damaged; texts in it may no longer be UTF-8."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        # A value that Python cannot decode raises an error without a code.
        return isinstance(error, sqlite3.OperationalError) if code is None else code & 0xFF in _DAMAGES
    return isinstance(error, UnicodeDecodeError | DamagedDatabaseError)


def keep_aside(path: Path) -> None:
    """Set a database aside, with the files that belong to it. Raises OSError."""
    for suffix in _FILES:
        with suppress(FileNotFoundError):
            set_aside(path.with_name(path.name + suffix))


def checksum(*values: object) -> int:
    """Return the checksum of a row's other columns in their order, each as SQLite returns it."""
    return crc32(repr(values).encode())
