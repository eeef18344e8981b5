from __future__ import annotations

import csv
import gzip
import io

import pytest

from services.collector.records.formats import read
from services.collector.records.gzip_content import UnreadableError
from services.collector.records.xroad import read_side


def table(records, delimiter=",", **options):
    names = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=delimiter, **options)
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def all_of(content, **options):
    batches = list(read(io.BytesIO(content), **options))
    return [s for b in batches for s in b.sides], [r for b in batches for r in b.rejects], batches


@pytest.mark.parametrize("options", [{}, {"delimiter": ";"}, {"quoting": csv.QUOTE_ALL}, {"lineterminator": "\n"}])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_row_is_the_record_it_stands_for(raw, options, pack):
    """Rows give the same sides as the records they were made of, with any delimiter, quotes and line ends."""
    records = [raw(xRequestId=f"x-{n}", serviceVersion=("v,1" if n else None)) for n in range(3)]
    sides, rejects, _ = all_of(pack(b"\xef\xbb\xbf" + table(records, **options)))
    assert (sides, rejects) == ([read_side(record) for record in records], [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_case_of_names_does_not_matter(raw, delimiter):
    """Columns named in any case hold the same fields."""
    records = [raw(xRequestId=f"x-{n}") for n in range(2)]
    header, rest = table(records, delimiter).split(b"\r\n", 1)
    sides, rejects, _ = all_of(header.upper() + b"\r\n" + rest)
    assert (sides, rejects) == ([read_side(record) for record in records], [])


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_without_a_header(raw, delimiter, quoting):
    """If the column names are given, the first line is a record, and reading continues from any row."""
    records = [raw(xRequestId=f"x-{n}") for n in range(5)]
    rows = table(records, delimiter, quoting=quoting).split(b"\r\n", 1)[1]
    sides, rejects, batches = all_of(rows, columns=tuple(records[0]), size=2)
    assert (sides, rejects) == ([read_side(record) for record in records], [])
    assert all_of(rows, columns=tuple(records[0]), start=batches[0].position)[0] == sides[2:]


def test_open_data_pair_by_message(raw):
    """Without a request id the two sides of an exchange are recognised by message, client and service."""
    rows = [raw(xRequestId=None, securityServerType=kind) for kind in ("Client", "Producer")]
    other = raw(xRequestId=None, serviceCode="other")
    sides, _, _ = all_of(table([*rows, other]))
    client, producer, third = (side.request for side in sides)
    assert client == producer != third


def test_open_data_give_durations_in_place_of_stamps(raw):
    """The duration of an open-data row gives its end. Rows that differ only in their id are two."""
    row = raw(responseOutTs=None, requestOutTs=None, responseInTs=None, messageId=None, xRequestId=None)
    row |= {
        "totalDuration": 229,
        "producerDurationProducerView": "None",
        "requestInDate": "2023-11-14",
        "succeeded": "t",
    }
    sides, rejects, _ = all_of(table([row | {"id": "1"}, row | {"id": "2"}]))
    assert rejects == []
    assert [side.response_out - side.request_in for side in sides] == [229, 229]
    assert len({side.digest for side in sides}) == 2


def test_reading_goes_on_from_any_row(raw):
    """From the position after any batch, the header is found again and exactly the rest is read."""
    content = table([raw(xRequestId=f"x-{n}") for n in range(5)])
    whole, _, batches = all_of(content, size=2)
    done = 0
    for batch in batches:
        done += len(batch.sides)
        assert all_of(content, start=batch.position)[0] == whole[done:]


def test_bad_rows_are_reported_by_line(raw):
    """An unreadable row is reported by line, length and reason, without its cells, and the rest is read."""
    lines = table([raw(), raw(xRequestId="x-2")]).splitlines()
    bad = [b'"CANARY', b"CANARY,1", b"\xff" + lines[1], lines[1].replace(b"Client", b"CANARY")]
    sides, rejects, _ = all_of(b"\n".join([lines[0], *bad, *lines[1:]]))
    assert len(sides) == 2
    assert [(reject.number, reject.length, reject.reason) for reject in rejects] == [
        (2, 7, "it is not CSV: a quote is out of place, or a cell is too long"),
        (3, 8, f"it has 2 cells under {len(raw())} columns"),
        (4, len(bad[2]), "it is not UTF-8"),
        (5, len(bad[3]), "securityServerType must be Client or Producer"),
    ]


def test_a_repeated_column_is_refused():
    """A table with a repeated column is refused as a whole."""
    with pytest.raises(UnreadableError, match="a column is there twice"):
        all_of(b"requestInTs,requestInTs\n1,2\n")


def test_a_file_that_is_written_still_gives_whole_lines(raw):
    """Until a file has settled, its last, unfinished line is left for later, and so are documents and gzip."""
    rows = table([raw(xRequestId=f"x-{n}") for n in range(3)])
    first, _, batches = all_of(rows[:-30], settled=False)
    assert len(first) == 2
    rest, rejects, _ = all_of(rows, start=batches[-1].position, settled=False)
    assert (len(rest), rejects) == (1, [])
    for content in (gzip.compress(rows), b"[]", b"<a>"):
        assert all_of(content, settled=False) == ([], [], [])
