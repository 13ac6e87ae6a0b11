"""What the site has beside its pages: the reference made from the code, and files of the repository that they link.

Pages are written for a code host, where `../configs/reader/long.yaml` is a link that works. On the site such a file
becomes a page of its own under `repository/`; a link to a folder becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import reference
from properdocs.structure.files import File

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
MADE = re.compile(r"<!-- made: (\w+) -->.*")
SHOWN = (".md", ".yaml")


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each file of the repository that a page links."""
    waiting = [
        (file.src_uri, (ROOT / "docs" / file.src_uri).read_text("utf-8")) for file in files.documentation_pages()
    ]
    seen: set[str] = set()
    while waiting:
        page, text = waiting.pop()
        for _, target, _ in LINK.findall(text):
            path = _outside(page, target)
            if path and path not in seen and _is_shown(path):
                seen.add(path)
                content = _page(path)
                files.append(File.generated(config, _page_name(path), content=content))
                waiting.append((_page_name(path), content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put the made parts in, and send links to files of the repository to their pages."""
    markdown = MADE.sub(lambda found: getattr(reference, found[1])(), markdown)
    return LINK.sub(lambda found: _link(page.file.src_uri, *found.groups()), markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Let wide tables scroll by themselves, also for those who use no mouse."""
    box = '<div class="scroll" tabindex="0" role="region" aria-label="table">'
    return html.replace("<table>", f"{box}<table>").replace("</table>", "</table></div>")


def _link(page: str, text: str, target: str, anchor: str | None) -> str:
    path = _outside(page, target)
    if path is None:
        return f"[{text}]({target}{anchor or ''})"
    if not _is_shown(path):
        return text
    return f"[{text}]({posixpath.relpath(_page_name(path), posixpath.dirname(page))}{anchor or ''})"


def _outside(page: str, target: str) -> str | None:
    """The path, from the repository's root, of what a page links outside docs/; None for any other link."""
    if re.match(r"\w+:", target):
        return None
    # A page made of a file links as the file does.
    here = page.removeprefix("repository/") if page.startswith("repository/") else f"docs/{page}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    if path.startswith("docs/"):
        return None if here.startswith("docs/") else path
    return path


def _is_shown(path: str) -> bool:
    if path.startswith("docs/"):
        return True
    if not (ROOT / path).exists():
        raise ValueError(f"a page links {path}, which is not in the repository")
    return path.endswith(SHOWN)


def _page_name(path: str) -> str:
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path.removesuffix('.yaml').removesuffix('.md')}.md"


def _page(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    return text if path.endswith(".md") else f"# {path}\n\n```yaml\n{text}```\n"
