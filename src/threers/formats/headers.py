"""Headers and names as people write them: when two are the same, and what a pattern with names in braces means."""

from __future__ import annotations

import re
from collections.abc import Iterable

from threers.formats.tables import composed


def compared(name: str) -> str:
    """A speaker's name, or a header, as they are compared: case, outer spaces and how an ä is stored do not count."""
    return composed(name.strip()).casefold()


def template(pattern: str) -> re.Pattern[str]:
    """Compile a header or file name in which `{name}` stands for any text, each time for the same; case does not count.

    What is no name, as in `Q{1}`, stands for itself.
    """
    compiled = ""
    for part in re.split(r"(\{\w+\})", composed(pattern.strip())):
        name = part[1:-1]
        if not (part.startswith("{") and name.isidentifier()):
            compiled += re.escape(part)
        elif f"(?P<{name}>" in compiled:
            compiled += f"(?P={name})"
        else:
            compiled += f"(?P<{name}>.+?)"
    return re.compile(compiled, re.IGNORECASE)


def first_header(alternatives: Iterable[str], headers: Iterable[str]) -> str | None:
    """Return the header that the first fitting alternative means, as `heading` compares them. None: none."""
    known = {heading(header): header for header in reversed(list(headers))}
    return next((known[heading(name)] for name in alternatives if heading(name) in known), None)


def heading(written: str) -> str:
    """A header, so that *No.* is *no* and *Session ID* is *session_id*."""
    return re.sub(r"[\s_]+", "_", compared(written).rstrip(".:"))
