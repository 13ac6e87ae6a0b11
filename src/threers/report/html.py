"""What all pages share: templates that escape everything, data for scripts, the security policy, writing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from threers.atomic import whole_file


@cache
def environment() -> jinja2.Environment:
    """Templates of this package, in which every value is escaped and none may be missing."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("threers.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inline(*names: str) -> Markup:
    """Files of `templates/`, one after the other, to stand in a page as they are."""
    folder = resources.files("threers.report") / "templates"
    # A browser hashes lines as it reads them, which end in \n whatever the system writes.
    texts = [(folder / name).read_text(encoding="utf-8").replace("\r\n", "\n") for name in names]
    return Markup("\n" + "\n".join(texts))


def policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """A Content-Security-Policy that allows these very inline texts and nothing else, not even a picture."""

    def hashes(texts: Iterable[str]) -> str:
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"

    own = f"style-src {hashes(styles)}; script-src {hashes(scripts)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def island(data: Any) -> Markup:
    """JSON for a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}))


def file_stem(session_id: str) -> str:
    """A file's name for a session: what is safe of its id, and a hash, so that no two sessions share it."""
    slug = re.sub(r"[^a-z0-9]+", "-", session_id.lower()).strip("-")[:40].strip("-") or "session"
    return f"{slug}-{hashlib.sha256(session_id.encode()).hexdigest()[:8]}"


def write_report(html: str, path: Path) -> None:
    """Write the file, readable by its owner only; it appears whole or not at all."""
    with whole_file(path) as scratch:
        # As written here, or the hashes of the policy would not fit.
        scratch.write_text(html, encoding="utf-8", newline="\n")
