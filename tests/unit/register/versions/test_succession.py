"""A register may only succeed another by certain rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.register.directory.load import load_register, read_directory
from services.register.versions.succession import check_return, check_succession, removed_rows, with_removed
from tests.support.registers import write_register


def successor_faults(tmp_path: Path, **changes: Any) -> list[str]:
    """Return the faults of a changed register as the successor of the unchanged one."""
    old = load_register(write_register(tmp_path / "old"))
    new = read_directory(write_register(tmp_path / "new", **changes))
    return [str(fault).removeprefix(f"{tmp_path}/new/") for fault in check_succession(new.register, new.locations, old)]


def test_the_same_register_follows_itself(tmp_path: Path) -> None:
    """An unchanged register is a good successor of itself."""
    assert successor_faults(tmp_path) == []


def test_a_link_keeps_service_provider_and_data_item(tmp_path: Path) -> None:
    """Each change of a link's identity is reported at the link's id."""
    assert successor_faults(
        tmp_path,
        links_csv=("deed-civil,title-deed,civil-registry,civil-status", "deed-civil,tax-clearance,customs,debts"),
    ) == [
        (
            "links.csv:3:1: id: link `deed-civil` changes service from `title-deed` to `tax-clearance`, "
            "provider from `civil-registry` to `customs`, data_item from `civil-status` to `debts`: "
            "end it and give the new link another id"
        )
    ]


def test_everything_else_of_a_link_may_change(tmp_path: Path) -> None:
    """Dates, weights, probes and new links are no faults. A data item typed with other letters is none either."""
    assert (
        successor_faults(
            tmp_path, links_csv=(",,0.99,2\n", ",,0.98,3\nnew,title-deed,customs,x,2026-05-01" + "," * 10 + "\n")
        )
        == []
    )


def test_ids_are_never_used_again(tmp_path: Path) -> None:
    """An agency, service or endpoint that keeps only its id is a fault. A renamed one is not."""
    assert successor_faults(
        tmp_path,
        agencies_csv=("customs,Customs,گمرک,economy", "customs,Museums,موزه‌ها,culture"),
        services_csv=("title-transfer,land-registry,Title transfer,انتقال سند", "title-transfer,customs,Visits,بازدید"),
        endpoints_csv=("portal,tax-office,tax-clearance,page,http", "portal,customs,,page,https"),
        links_csv=("transfer-customs,title-transfer,customs,liens,,,,,,,,,,,\n", ""),
    ) == [
        "agencies.csv:5:1: id: `customs` was the id of something else: ids are never used again",
        "endpoints.csv:3:1: id: `portal` was the id of something else: ids are never used again",
        "services.csv:4:1: id: `title-transfer` was the id of something else: ids are never used again",
    ]


def test_ids_that_were_removed_are_not_used_again(tmp_path: Path) -> None:
    """The id of a removed link or endpoint is used for nothing else. A renamed agency is compared with its last name."""
    without: dict[str, Any] = {
        "endpoints_csv": ("portal,tax-office,tax-clearance,page,http://127.0.0.1:7500/portal,,\n", ""),
        "links_csv": ("transfer-customs,title-transfer,customs,liens,,,,,,,,,,,\n", ""),
    }
    renamed = ("customs,Customs,گمرک,economy", "customs,Borders,مرزها,economy")
    first = load_register(write_register(tmp_path / "first"))
    second = load_register(write_register(tmp_path / "second", agencies_csv=renamed, **without))
    third = read_directory(
        write_register(
            tmp_path / "third",
            agencies_csv=("customs,Customs,گمرک,economy", "customs,Borders,مرزها,justice"),
            endpoints_csv=("portal,tax-office,tax-clearance,page,http", "portal,customs,,page,https"),
            links_csv=("transfer-customs,title-transfer,customs,liens", "transfer-customs,title-deed,customs,liens"),
        )
    )
    assert check_succession(third.register, third.locations, second) == ()
    faults = check_succession(third.register, third.locations, with_removed(second, first))
    assert [str(fault).removeprefix(f"{tmp_path}/third/") for fault in faults] == [
        "endpoints.csv:3:1: id: `portal` was the id of something else: ids are never used again",
        (
            "links.csv:6:1: id: link `transfer-customs` changes service from `title-transfer` to `title-deed`: "
            "end it and give the new link another id"
        ),
    ]


def test_another_day_needs_a_later_epoch(tmp_path: Path) -> None:
    """Days of two timezones never meet in one window, and no day before all evidence is requested."""
    assert successor_faults(tmp_path / "zone", policy_yaml=("Asia/Tehran", "Asia/Baku")) == [
        "policy.yaml:2:11: timezone: a change from Asia/Tehran to Asia/Baku needs a later epoch"
    ]
    assert successor_faults(tmp_path / "epoch", policy_yaml=("epoch: 2026-01-01", "epoch: 2025-12-01")) == [
        "policy.yaml:3:8: epoch: 2025-11-30 20:30 UTC is before 2025-12-31 20:30 UTC, from which on the index counts"
    ]


def test_a_new_slot_length_needs_a_later_epoch(tmp_path: Path) -> None:
    """Evidence of two slot lengths never meets in one window."""
    assert successor_faults(tmp_path / "same", policy_yaml=("slot_seconds: 300", "slot_seconds: 60")) == [
        "policy.yaml:4:15: slot_seconds: a change from 300 to 60 needs a later epoch"
    ]
    later = ("epoch: 2026-01-01\nslot_seconds: 300", "epoch: 2026-02-01\nslot_seconds: 60")
    assert successor_faults(tmp_path / "later", policy_yaml=later) == []


def test_a_register_with_other_slots_comes_back_with_a_later_epoch_only(tmp_path: Path) -> None:
    """Once the bus lacks what came since, a register with another slot length needs an epoch that is later than both
    what the bus holds and the epoch in force.
    """
    former, epoch, day = read_directory(write_register(tmp_path)), datetime(2026, 2, 3, tzinfo=UTC), 86_400
    policy = replace(former.register.policy, slot_seconds=600, epoch=epoch)
    in_force, left = replace(former.register, policy=policy), epoch.timestamp()
    assert check_return(former.register, former.locations, in_force, left=left, held_from=left) == ()
    for held_from, earliest in ((left + day, "2026-02-04 00:00"), (left + 1, "2026-02-03 00:00")):
        [fault] = check_return(former.register, former.locations, in_force, left=left, held_from=held_from)
        assert fault.reason.startswith("epoch: since 2026-02-03 00:00 UTC registers with another epoch, slot length or")
        assert fault.reason.endswith(f": set one after {earliest} UTC")


def test_removed_rows_are_kept_until_their_ids_are_in_force_again(tmp_path: Path) -> None:
    """What a register removes joins what was removed before, which may also be all of the register before it. A row whose
    id returns stays until the register that has it is in force.
    """
    link = "transfer-customs,title-transfer,customs,liens,,,,,,,,,,,\n"
    whole = load_register(write_register(tmp_path / "whole"))
    without = load_register(write_register(tmp_path / "without", links_csv=(link, "")))
    assert not removed_rows(whole, whole, None).links
    for before in (None, without):
        removed = removed_rows(without, whole, before)
        assert (list(removed.links), removed.agencies, removed.endpoints) == (["transfer-customs"], {}, {})
        assert removed_rows(without, without, removed) == removed
        assert removed_rows(whole, without, removed) == removed
        assert not removed_rows(whole, whole, removed).links
    assert removed_rows(without, without, whole) == removed
