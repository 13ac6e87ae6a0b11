"""What pip-audit found, in words. Usage: known_faults.py FOUND.json

Exit status: 0 no known fault, 1 a known fault, 3 nobody could be asked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def say(dependencies: list[dict[str, Any]]) -> tuple[list[str], int]:
    """Lines and exit status for the `dependencies` of pip-audit's JSON."""
    skipped = [own["name"] for own in dependencies if "skip_reason" in own]
    if len(skipped) == len(dependencies):
        return [f"no list answered for any of {len(skipped)} packages: known faults were NOT looked up"], 3
    lines = [f"not looked up: {', '.join(skipped)}"] if skipped else []
    faults = 0
    for own in dependencies:
        for fault in own.get("vulns", []):
            better = ", ".join(fault["fix_versions"]) or "no version"
            lines.append(f"{own['name']} {own['version']}: {fault['id']}; mended in {better}")
            faults += 1
    lines.append(f"{faults or 'no'} known fault{'s' * (faults > 1)} in {len(dependencies) - len(skipped)} packages")
    return lines, int(faults > 0)


if __name__ == "__main__":
    lines, status = say(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["dependencies"])
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(status)
