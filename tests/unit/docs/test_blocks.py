"""Every Shell, Python and SQL block of README and docs is run by a test, or is listed with the reason why not."""

from __future__ import annotations

import re

import pytest

from tests.support.doc_blocks import blocks, pages
from tests.support.paths import ROOT

RUN_BY = {
    "README.md: Try 1": "e2e/test_pages.py::test_the_readme_s_commands_run",
    "README.md: Try 3": "e2e/test_pages.py::test_the_readme_s_commands_run",
    "README.md: Try 2": "e2e/test_pages.py::test_the_readme_s_commands_run",
    "docs/alerts.md: Alerts 1": "integration/test_pages_run.py::test_the_rules_can_be_run_beside_up",
    "docs/api.md: Python 1": "integration/api/test_api_page.py::test_the_first_examples_run",
    "docs/api.md: Python from the contract alone 1": "integration/api/test_api_page.py::test_the_first_examples_run",
    "docs/api.md: Python from the contract alone 2": "integration/api/test_api_page.py::test_the_first_examples_run",
    "docs/api.md: TLS and roles 1": "integration/api/test_api_page.py::test_the_example_over_tls_runs",
    "docs/api.md: TLS and roles 2": "integration/api/test_api_page.py::test_the_example_over_tls_runs",
    "docs/archive.md: 4. Verify it 1": "unit/cli/commands/test_archive.py::test_the_page_s_commands_run",
    "docs/archive.md: 4. Verify it 2": "unit/cli/commands/test_archive.py::test_the_page_s_commands_run",
    "docs/archive.md: 5. Witness it 1": "unit/cli/commands/test_archive.py::test_the_page_s_commands_run",
    "docs/archive.md: 7. Rounds 1": "unit/cli/rounds/test_rounds.py::test_the_other_verifier_runs_as_the_page_of_the_archive_says",
    "docs/archive.md: 6. Compute it again 1": "integration/archive/test_component.py::test_what_was_published_is_computed_again",
    "docs/archive.md: 12. Change its key 1": "unit/cli/commands/test_archive.py::test_the_page_s_commands_run",
    "docs/exchange.md: 5. X-Road in ten minutes 1": "e2e/test_pages.py::test_sources_are_read_beside_a_register",
    "docs/exchange.md: 5. X-Road in ten minutes 2": "integration/sandbox/test_process.py::test_a_register_from_what_its_servers_list",
    "docs/first-register.md: Measure your own register 1": (
        "e2e/test_pages.py::test_a_first_register_is_read_and_measured"
    ),
    "docs/first-register.md: Measure your own register 2": (
        "e2e/test_pages.py::test_a_first_register_is_read_and_measured"
    ),
    "docs/first-register.md: Measure your own register 3": (
        "e2e/test_pages.py::test_a_first_register_is_read_and_measured"
    ),
    "docs/opendata.md: 1. Export 1": "unit/cli/opendata/test_package.py::test_the_page_s_command_runs",
    "docs/opendata.md: 3. Serve it 1": "integration/console/test_component.py::test_open_data_is_served_without_an_api",
    "docs/operating.md: Operating Peyvand 1": "integration/test_pages_run.py::test_the_guide_s_variables_are_taken",
    "docs/operating.md: Adding an agency 1": "integration/test_pages_run.py::test_the_guide_s_changes_of_a_register_run",
    "docs/operating.md: Adding a vantage 1": "integration/test_pages_run.py::test_the_guide_s_changes_of_users_run",
    "docs/operating.md: Rotating credentials 1": "integration/test_pages_run.py::test_the_guide_s_changes_of_users_run",
    "docs/operating.md: From 0.2.0 1": "integration/deploy/test_accounts_upgrade.py::test_a_single_server_is_upgraded_by_the_guide",
    "docs/operating.md: From 0.2.0 2": "integration/deploy/test_accounts_upgrade.py::test_a_cluster_is_upgraded_by_the_guide",
    "docs/operating.md: From 0.2.0 3": "integration/deploy/test_accounts_upgrade.py::test_a_cluster_is_upgraded_by_the_guide",
    "docs/operating.md: From 0.2.0 4": "integration/deploy/test_accounts_upgrade.py::test_a_cluster_is_upgraded_by_the_guide",
    "docs/operating.md: From 0.2.0 5": "integration/deploy/test_accounts_upgrade.py::test_a_cluster_is_upgraded_by_the_guide",
    "docs/probing.md: Probing 1": "integration/test_pages_run.py::test_the_page_s_first_probe_is_explained_so",
    "docs/register.md: The register 1": "integration/test_pages_run.py::test_the_page_s_faults_are_reported_so",
}
"""Each block that runs, and the test that runs it."""

_ROUNDS = "unit/cli/rounds/test_rounds.py::test_the_page_s_commands_run"
RUN_BY |= {f"docs/rounds.md: {name} 1": _ROUNDS for name in ("1. Freeze one", "2. Verify one", "4. Compare two")} | {
    f"docs/rounds.md: {name} 2": _ROUNDS for name in ("1. Freeze one", "2. Verify one")
}

RUN_BY |= {one.name: "unit/docs/test_questions.py::test_the_answer_is_right" for one in blocks("docs/questions.md")}

_ROOT_AND_UNITS = "changes /opt, /usr/lib and /etc as root and starts systemd units"
_CONTAINERS = "needs a Docker engine and root; `make test-images` runs the stack"
_CLUSTER = "needs a Kubernetes cluster"
_BENCH = "measures for minutes what a machine does; it asserts nothing"

NOT_RUN = {
    "README.md: Run it 1": "sets up .venv; the command below it, `peyvand up --sandbox`, is run by e2e/test_up.py",
    "README.md: Run it 2": "is this test suite",
    "docs/api.md: Go 1": "needs Go's protoc plug-ins",
    "docs/api.md: Java 1": "needs Java's protoc plug-in",
    "docs/api.md: grpcurl 1": "needs grpcurl",
    "docs/api.md: grpcurl 2": "needs grpcurl",
    "docs/archive.md: 1. Run it 1": "serves until it is stopped; integration/archive/test_component.py runs it with these flags",
    "docs/method-5.md: 1. See it in your numbers 1": "needs a dataset of method 4, which this release does not write",
    "docs/exchange.md: 4.3 Findings about exchanges 1": "needs weeks of traffic; unit/cli/commands/test_findings.py asks an api that has some",
    "docs/console.md: 2. For operators 1": (
        "serves until it is stopped; integration/console/test_component.py runs the console with these flags"
    ),
    "docs/console.md: 2.1 Who sees what 1": "needs the certificates that it names; integration/console/test_component.py makes some",
    "docs/console.md: 2.2 Signing in 1": "needs the provider that it names; integration/console/test_sign_in.py starts one",
    "docs/dashboards.md: Look at them without Grafana 1": (
        "runs a sandbox for three minutes; e2e/test_dashboard_answers.py asks the same queries"
    ),
    "docs/operating.md: First start: a single host, by systemd 1": _ROOT_AND_UNITS,
    "docs/operating.md: First start: a single host, by systemd 2": "downloads all packages",
    "docs/operating.md: First start: a single host, by systemd 3": (
        "needs the packages; unit/docs/test_make.py looks for those of the build among them"
    ),
    "docs/operating.md: First start: a single host, by systemd 4": (
        "changes /etc as root; unit/deploy/test_prepare.py runs deploy/prepare.sh"
    ),
    "docs/operating.md: First start: a single host, by systemd 5": _ROOT_AND_UNITS,
    "docs/operating.md: First start: one host, in containers 1": _CONTAINERS,
    "docs/operating.md: First start: Kubernetes 1": _CLUSTER,
    "docs/operating.md: First start: Kubernetes 2": _CLUSTER,
    "docs/operating.md: Adding an agency 2": _CLUSTER,
    "docs/operating.md: Adding a vantage 2": _ROOT_AND_UNITS,
    "docs/operating.md: Adding a vantage 3": _CONTAINERS,
    "docs/operating.md: Rotating credentials 2": f"{_ROOT_AND_UNITS}; unit/cli/commands/test_archive.py changes a key",
    "docs/operating.md: Certificates 1": _ROOT_AND_UNITS,
    "docs/operating.md: The api's port 1": f"{_ROOT_AND_UNITS}; security/test_api_proxy.py runs the configuration",
    "docs/operating.md: Rounds and open data 1": f"{_ROOT_AND_UNITS}; unit/cli/rounds and unit/cli/opendata run both commands",
    "docs/operating.md: Upgrading 1": _ROOT_AND_UNITS,
    "docs/operating.md: Upgrading 2": _CONTAINERS,
    "docs/operating.md: Backup and restore 1": f"{_ROOT_AND_UNITS}; integration/core/test_backup.py backs a bus up",
    "docs/operating.md: Backup and restore 2": f"{_ROOT_AND_UNITS}; integration/core/test_backup.py restores one",
    "docs/operating.md: A scorer that lost its folder 1": (
        "serves until it is stopped; integration/scorer/test_lost_folder.py runs it with this setting"
    ),
    "docs/operating.md: In containers 1": _CONTAINERS,
    "docs/operating.md: In containers 2": _CONTAINERS,
    "docs/operating.md: On Kubernetes 1": _CLUSTER,
    "docs/operating.md: On Kubernetes 2": _CLUSTER,
    "docs/rounds.md: 5. Show them 1": "serve until they are stopped; e2e/test_pages.py starts both with this folder",
    "docs/performance-log.md: The national scenario 1": _BENCH,
    "docs/robustness.md: Faults 1": "takes hours and a machine of its own; .ci/run lets 30 faults happen",
    "docs/robustness.md: Simulated months 1": "takes hours; simulation/test_months.py simulates a few of them",
    "docs/robustness.md: Fuzzing 1": "takes an hour; fuzz/test_readers.py calls the same readers",
    "docs/performance-log.md: Beside blackbox_exporter and Prometheus 1": _BENCH,
    "docs/performance-log.md: Saturation 1": _BENCH,
    "docs/performance-log.md: One probe 1": _BENCH,
    "docs/performance-log.md: The structure of the network 1": _BENCH,
    "docs/performance-log.md: Scoring a dump, and its sensitivity 1": _BENCH,
    "docs/performance-log.md: Rounds 1": _BENCH,
    "docs/performance-log.md: Scale 1": _BENCH,
    "docs/performance-log.md: Publishing 1": _BENCH,
    "docs/performance-log.md: From a measurement to the answer 1": _BENCH,
    "docs/performance-log.md: Asking the api 1": _BENCH,
    "docs/performance-log.md: Exchange logs 1": _BENCH,
}
"""Each block that no test can run, and why."""

NAMES = [one.name for page in pages() for one in blocks(page)]


def test_every_block_runs_or_is_listed() -> None:
    """Every Shell, Python and SQL block is in exactly one of the two tables, and the tables name no other block."""
    assert [name for name in NAMES if (name in RUN_BY) == (name in NOT_RUN)] == []
    assert sorted({*RUN_BY, *NOT_RUN} - set(NAMES)) == []


@pytest.mark.parametrize("test", sorted(set(RUN_BY.values())))
def test_the_tests_that_run_blocks_exist(test: str) -> None:
    """Each test that is said to run a block exists and names the block's page."""
    file, _, name = test.partition("::")
    text = (ROOT / "tests" / file).read_text("utf-8")
    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)
    page = next(block for block, by in RUN_BY.items() if by == test).partition(":")[0].removeprefix("docs/")
    assert page.removesuffix(".md") in text or file == "integration/api/test_api_page.py"


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"(?:unit|e2e|integration)/[\w/]+\.py", " ".join(NOT_RUN.values()))))
)
def test_what_runs_in_place_exists(name: str) -> None:
    """Each test file that a reason names exists."""
    assert (ROOT / "tests" / name).exists()
