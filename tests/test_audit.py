"""What the audit of the installed packages says of pip-audit's answer (its format: JSON in pip-audit's README)."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("known_faults", Path(__file__).parents[1] / "scripts" / "known_faults.py")
known_faults = importlib.util.module_from_spec(spec)
spec.loader.exec_module(known_faults)

SOUND = {"name": "numpy", "version": "2.1.0", "vulns": []}
FAULT = {
    "name": "flask",
    "version": "0.5",
    "vulns": [{"id": "PYSEC-2019-179", "fix_versions": ["1.0"], "aliases": ["CVE-2019-1010083"], "description": ""}],
}
SKIPPED = {"name": "own", "skip_reason": "Dependency not found on PyPI and could not be audited: own (1.0)"}


def test_a_known_fault_is_named_with_the_version_that_mends_it():
    assert known_faults.say([SOUND, FAULT]) == (
        ["flask 0.5: PYSEC-2019-179; mended in 1.0", "1 known fault in 2 packages"],
        1,
    )


def test_what_no_list_knows_does_not_pass_as_sound():
    assert known_faults.say([SOUND, SKIPPED]) == (["not looked up: own", "no known fault in 1 packages"], 0)
    lines, status = known_faults.say([SKIPPED])
    assert status == 3
    assert "NOT looked up" in lines[0]
