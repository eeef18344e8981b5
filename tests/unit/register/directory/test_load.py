"""A register directory is loaded as a Register."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from services.cli.register_publisher import _fingerprint
from services.core.errors import InputError
from services.core.model.notices import Maintenance
from services.core.model.probe import Auth, JsonExpectation
from services.core.model.register import ALWAYS, ExchangeRoute, Member
from services.register.directory.load import load_register
from tests.support.registers import register_files, write_register


def test_a_good_register_is_read_whole(tmp_path: Path) -> None:
    """Agencies, services, links, endpoints, probes and policy are read as written, with the policy's defaults."""
    register = load_register(write_register(tmp_path))
    assert list(register.agencies) == ["civil-registry", "customs", "land-registry", "tax-office"]
    assert len(register.services) == 5
    assert len(register.links) == 8
    assert [link.id for link in register.links.values() if link.absent] == ["transfer-customs"]
    assert register.agencies["tax-office"].staff == 9000
    assert register.services["title-deed"].weight == 2.0
    link = register.links["permit-tax"]
    assert (link.live_from, link.required_until, link.latency_ms) == (ALWAYS, date(2030, 1, 1), 2000)
    assert link.vantages == ("north", "south")
    assert link.params == ({"national_id": "0000000002"},)
    assert register.links["deed-tax"].latency_ms == 500
    assert register.links["deed-civil"].max_age_s == 86400
    assert register.endpoints["bus"].service is None
    probe = register.probes["inquiry"]
    assert (probe.timeout, probe.body_limit, probe.expect.status) == (5.0, 1 << 20, (200,))
    assert probe.expect.json == (JsonExpectation("$.national_id", "${national_id}"),)
    assert register.policy.bus == "bus"
    assert register.policy.epoch == datetime(2025, 12, 31, 20, 30, tzinfo=UTC)


def test_optional_files_and_columns_may_be_missing(tmp_path: Path) -> None:
    """Members, routes and maintenance are empty without their files, and optional columns may be missing."""
    links = "id,service,provider,data_item,live_from\nl,title-deed,tax-office,clearance,\n"
    register = load_register(
        write_register(
            tmp_path, links_csv=links, endpoints_csv="id,agency,probe,target\n", policy_yaml=("bus: bus", "bus: null")
        )
    )
    assert register.links["l"].absent
    assert register.links["l"].weight == 1.0
    assert (register.members, register.routes, register.maintenance) == ((), (), ())


def test_names_and_notes_may_have_no_column(tmp_path: Path) -> None:
    """Names in one language need no column for the other, and maintenance needs none for notes."""
    register = load_register(
        write_register(
            tmp_path,
            agencies_csv="id,name_fa,sector\ncustoms,گمرک,economy\ntax-office,مالیات,economy\n",
            services_csv="id,agency,name_en\nimport-permit,customs,Import permit\n",
            links_csv="id,service,provider,data_item\nl,import-permit,tax-office,status\n",
            endpoints_csv="id,agency,probe,target\n",
            policy_yaml=("bus: bus", "bus: null"),
            maintenance_csv="subject,from,to\ncustoms,2026-01-01,2026-01-02\n",
        )
    )
    assert (register.agencies["customs"].name_en, register.agencies["customs"].name_fa) == ("", "گمرک")
    assert register.services["import-permit"].name_fa == ""
    assert [one.note for one in register.maintenance] == [""]


def test_exchange_and_maintenance_files_are_read(tmp_path: Path) -> None:
    """X-Road identifiers stay as written. A day of maintenance begins at midnight in the policy's timezone."""
    register = load_register(
        write_register(
            tmp_path,
            members_csv="member,agency\nIR/GOV/100/Sub,tax-office\nIR/GOV/100,tax-office\n",
            exchange_csv="client,service,link\nIR/GOV/200/A,IR/GOV/100/Sub/status,permit-tax\n",
            maintenance_csv="subject,from,to,note\ncustoms,۱۴۰۵-01-01,2026-03-02T10:00:00Z,بازسازی\n".replace(
                "۱۴۰۵-01-01", "۲۰۲۶-03-01"
            ),
        )
    )
    assert register.members == (Member("IR/GOV/100", "tax-office"), Member("IR/GOV/100/Sub", "tax-office"))
    assert register.routes == (ExchangeRoute("IR/GOV/200/A", "IR/GOV/100/Sub/status", "permit-tax"),)
    start, end = datetime(2026, 2, 28, 20, 30, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert register.maintenance == (Maintenance("customs", start, end, "بازسازی"),)


def test_persian_digits_and_letters_are_folded(tmp_path: Path) -> None:
    """Ids, numbers, dates and data items are compared after folding, whatever digits and letters are typed."""
    register = load_register(
        write_register(
            tmp_path,
            agencies_csv=("tax-office,", "tax-۱۲,"),
            services_csv=("tax-office", "tax-ٱ".replace("ٱ", "١٢")),
            endpoints_csv=("tax-office", "tax-12"),
            links_csv=("tax-office,", "tax-12,"),
        )
    )
    assert "tax-12" in register.agencies
    assert register.services["tax-clearance"].agency == "tax-12"
    again = load_register(write_register(tmp_path / "again", links_csv=("civil-status", "وضعيت")))
    other = load_register(write_register(tmp_path / "other", links_csv=("civil-status", "وضعیت")))
    assert again.register_version == other.register_version


def test_byte_order_marks_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    """CSV files as spreadsheets save them give the same register."""
    plain = load_register(write_register(tmp_path / "plain"))
    saved = write_register(tmp_path / "saved")
    for name, content in register_files().items():
        (saved / name).write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert load_register(saved) == plain


@pytest.mark.parametrize("auth", ["", "  auth: none\n", "  auth: 'none'\n", "  auth: {kind: none}\n"])
def test_nothing_to_show(tmp_path: Path, auth: str) -> None:
    """No authentication can be a word, a kind or left out, with the same result."""
    register = load_register(
        write_register(tmp_path, probes_yaml=("page:\n  kind: http\n", f"page:\n  kind: http\n{auth}"))
    )
    assert register.probes["page"].auth == Auth()


@pytest.mark.parametrize("auth", ["basic", "[none]", "no", "None"])
def test_auth_in_another_word(tmp_path: Path, auth: str) -> None:
    """Any other word or shape is refused."""
    probes = ("page:\n  kind: http\n", f"page:\n  kind: http\n  auth: {auth}\n")
    with pytest.raises(InputError) as refused:
        load_register(write_register(tmp_path, probes_yaml=probes))
    assert [fault.reason for fault in refused.value.faults] == ["auth: is not a mapping of keys to values"]


def test_files_are_referred_to_absolutely_and_hashed_as_written(tmp_path: Path) -> None:
    """Any process on the host can open a reference, yet a moved directory keeps its probe version."""
    probes = (
        "page:\n  kind: http\n",
        "page:\n  kind: http\n  tls: {ca: 'file:../ca.pem'}\n  auth: {kind: bearer, token: 'file:token'}\n",
    )
    first = load_register(write_register(tmp_path / "first", probes_yaml=probes))
    moved = load_register(write_register(tmp_path / "elsewhere" / "moved", probes_yaml=probes))
    (tmp_path / "ca.pem").write_text("pem")
    assert Path(first.probes["page"].tls.ca.removeprefix("file:")).read_text() == "pem"
    assert first.probes["page"].auth.token == f"file:{tmp_path}/first/./token"
    assert moved.probes["page"].tls.ca != first.probes["page"].tls.ca
    assert moved.probe_version == first.probe_version


def test_a_body_file_arrives_byte_for_byte(tmp_path: Path) -> None:
    """A probe's body may be in a file, including its line ends, and its content is part of the probe version."""
    probes = ("  timeout: 5s\n  body_limit", "  timeout: 5s\n  body_limit")
    inline = load_register(write_register(tmp_path / "inline", probes_yaml=probes))
    directory = write_register(
        tmp_path / "file", probes_yaml=("""'{"national_id": "${national_id}"}'""", "file:body.json")
    )
    (directory / "body.json").write_bytes(b'{"id":\r\n "${national_id}"}\n')
    register = load_register(directory)
    assert register.probes["inquiry"].body == '{"id":\r\n "${national_id}"}\n'
    assert register.probe_version != inline.probe_version


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0000000000", "0000000000"),
        ("12", 12),
        ("-184467440737095516170", -184467440737095516170),
        ("1.5", 1.5),
        ("true", True),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_expected_values_mean_what_json_means(tmp_path: Path, written: str, value: object) -> None:
    """A national id keeps its zeros and `no` stays text. Numbers and flags are themselves."""
    probes = ('equals: "${national_id}"', f"equals: {written}")
    register = load_register(write_register(tmp_path, probes_yaml=probes))
    assert register.probes["inquiry"].expect.json[0].equals == value


def test_a_folder_that_kubernetes_mounts_is_read_and_seen_to_change(tmp_path: Path) -> None:
    """A ConfigMap, whose files are links into a folder that is replaced, is read, and its changes are noticed."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()

    def exchange(name: str, **changes: Any) -> None:
        (tmp_path / name).mkdir()
        plain = write_register(tmp_path / name, **changes)
        plain.rename(mounted / f"..{name}")
        (mounted / "..data.next").symlink_to(f"..{name}")
        (mounted / "..data.next").rename(mounted / "..data")

    exchange("one")
    for file in (mounted / "..one").iterdir():
        (mounted / file.name).symlink_to(f"..data/{file.name}")
    before, seen = load_register(mounted), _fingerprint(mounted)
    assert before.register_version == load_register(mounted / "..one").register_version
    exchange("two", policy_yaml=("grace_hours: 24", "grace_hours: 2"))
    assert _fingerprint(mounted) != seen
    assert before.policy.grace_seconds - load_register(mounted).policy.grace_seconds == 22 * 3600
