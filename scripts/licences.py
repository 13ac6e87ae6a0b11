"""Lists what threers needs, with version and licence, and fails where one would bind whoever passes threers on.

Usage: .venv/bin/python scripts/licences.py [EXTRA]...     e.g. formats ray
"""

import re
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

#: Licences that ask for the same licence of a whole work. The LGPL and MPL do not.
BINDING = re.compile(r"\bA?GPL|(?<!Lesser )General Public License", re.I)


def needed(name: str, extras: tuple[str, ...] = (), seen: set[str] | None = None) -> Iterator[metadata.Distribution]:
    """What a distribution needs, itself included; what is not installed is left out."""
    seen = set() if seen is None else seen
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen.add(key)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    yield found
    for line in found.requires or ():
        requirement = Requirement(line)
        wanted = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(one) for one in wanted):
            yield from needed(requirement.name, tuple(requirement.extras), seen)


def licence(found: metadata.Distribution) -> str:
    """As its author says: an SPDX expression, else classifiers, else the first line of the licence."""
    about = found.metadata
    classified = [line.split("::")[-1].strip() for line in about.get_all("Classifier") or () if "License" in line]
    said = about.get("License-Expression") or "; ".join(classified) or about.get("License") or "unknown"
    return said.strip().splitlines()[0][:70]


def main() -> None:
    """Print a line per distribution; status 1 where a licence is binding or unknown."""
    rows = sorted((one.name.lower(), one.version, licence(one)) for one in needed("threers", tuple(sys.argv[1:])))
    doubtful = [row for row in rows if BINDING.search(row[2]) or row[2].lower() == "unknown"]
    for row in rows:
        print(f"{row[0]:32} {row[1]:16} {row[2]}")
    for row in doubtful:
        print(f"look at {row[0]}: {row[2]}", file=sys.stderr)
    sys.exit(bool(doubtful))


if __name__ == "__main__":
    main()
