"""All that code, tests, deployment and pages cite is in this repository, under the cited number."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

CITATION = re.compile(r"docs/((?:adr/)?[\w.-]+\.md)((?:,?\s+(?:#\s+|//\s+)?(?:and\s+)?§\s?[\d.]*\d(?:-[\d.]*\d)?)*)")
BEHAVIOURS = re.compile(r"docs/probing\.md §5, behaviours? ([\d, and-]+)")
DECISIONS = re.compile(r"\bADRs? (\d+)|docs/adr/(\d{4})|\badr/(\d{4})-")
ELSEWHERE = re.compile(r"\b(?:DESIGN|INDICATOR|PROBING|EXCHANGE|CONSOLE|ARCHIVE|TRUST|TRAFFIC|LAYOUT|STYLE)\.md\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def texts() -> dict[str, str]:
    """Return every text file of the repository by its path, without generated code and lock files."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.splitlines()
    suffixes = {".py", ".md", ".proto", ".yaml", ".yml", ".toml", ".sh", ".conf", ".service", ".env", ".tpl", ""}
    return {
        name: (ROOT / name).read_text("utf-8")
        for name in listed
        if (ROOT / name).is_file()
        and Path(name).suffix in suffixes
        and name != Path(__file__).relative_to(ROOT).as_posix()
    }


@cache
def sections(page: str) -> frozenset[str]:
    """Return the numbers of a page's headings, such as 6 and 6.2."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return frozenset(re.findall(r"^#{2,4} (\d+(?:\.\d+)*)\.? ", text, re.MULTILINE))


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as Git hosts make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


def numbers(cited: str) -> Iterator[str]:
    """Yield each section number of a citation, and both ends of a range."""
    for span in re.findall(r"§\s?([\d.]*\d(?:-[\d.]*\d)?)", cited):
        yield from span.split("-")


def test_cited_pages_and_sections_exist() -> None:
    """Every `docs/PAGE.md §n` names an existing page and section number."""
    missing = []
    for name, text in texts().items():
        for page, cited in CITATION.findall(text):
            if not (ROOT / "docs" / page).exists():
                missing.append(f"{name}: docs/{page}")
                continue
            missing += [f"{name}: docs/{page} §{number}" for number in numbers(cited) if number not in sections(page)]
    assert missing == []


def test_cited_behaviours_exist() -> None:
    """Every behaviour cited by number is in the list of docs/probing.md, which counts from 1 to 40."""
    page = (ROOT / "docs" / "probing.md").read_text("utf-8").split("\n## 5. Behaviours\n")[1].split("\n## ")[0]
    listed = [int(number) for number in re.findall(r"^(\d+)\. ", page, re.MULTILINE)]
    assert listed == list(range(1, 41))
    cited = [
        (name, int(number))
        for name, text in texts().items()
        for span in BEHAVIOURS.findall(text)
        for number in re.findall(r"\d+", span)
    ]
    assert [one for one in cited if one[1] not in listed] == []
    assert len(cited) > 5


def test_cited_decisions_exist() -> None:
    """Every decision cited by number is in docs/adr."""
    there = {file.name[:4] for file in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    missing = [
        f"{name}: ADR {number}"
        for name, text in texts().items()
        for found in DECISIONS.findall(text)
        if (number := "".join(found)).zfill(4) not in there
    ]
    assert missing == []


def test_nothing_outside_the_repository_is_cited() -> None:
    """No file names a document outside the repository."""
    assert [name for name, text in texts().items() if ELSEWHERE.search(text)] == []


@pytest.mark.parametrize("name", [name for name in texts() if name.endswith(".md")])
def test_links_between_pages_resolve(name: str) -> None:
    """Every link of a page leads to a file of the repository and, with an anchor, to a heading of that file."""
    path = ROOT / name
    broken = []
    for target in LINK.findall(re.sub(r"```.*?```|`[^`]*`", "", path.read_text("utf-8"), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file) if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", [name for name in texts() if name.endswith(".md")])
def test_files_that_pages_name_exist(name: str) -> None:
    """Every file or folder of the repository that a page names by its path exists."""
    named = re.findall(r"(?<![\w/.:-])((?:services|tests|deploy|proto|docs)/[\w@./*-]*[\w*/])", texts()[name])
    made = ("deploy/secrets", "deploy/prometheus/secrets")
    assert [path for path in named if not path.startswith(made) and not any(ROOT.glob(path.rstrip("/")))] == []
