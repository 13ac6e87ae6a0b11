"""Cuts long files of others to examples: `python cut_examples.py elan SAMPLE`, `… transcribe EXPERT`, `… word PAGE`.

What is kept stands as the tool wrote it; README.md says where the files come from.

    elan        SAMPLE: test/sample_2.8.eaf of the source distribution pympi-ling 1.71
    transcribe  EXPERT: test/data/expert.json of the npm package aws-transcription-to-vtt 2.0.0
    word        PAGE: src/test/resources/463066.html of the Debian source package jtidy 7+svn20110807
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
_ANNOTATION = re.compile(r' *<ANNOTATION>.*?ANNOTATION_ID="(\w+)".*?</ANNOTATION>\n', re.DOTALL)
_SLOT = re.compile(r' *<TIME_SLOT TIME_SLOT_ID="(\w+)"(?: TIME_VALUE="(\d+)")?/>\n')
_REFERENCE = re.compile(r'ANNOTATION_REF="(\w+)"')
_PROPERTIES = re.compile(r"<!--\[if gte mso 9\]><xml>\n <o:DocumentProperties>.*?<!\[endif\]-->", re.DOTALL)
_ENDS = re.compile(r'TIME_SLOT_REF1="(\w+)" TIME_SLOT_REF2="(\w+)"')


def elan(sample: Path, seconds: int = 11) -> None:
    """Keep the annotations that end in time, and what refers to them or subdivides them."""
    content = sample.read_text(encoding="utf-8")
    times = dict(_SLOT.findall(content))
    slots = {slot for slot, time in times.items() if time and int(time) <= 1000 * seconds}
    late = {slot for slot in slots if int(times[slot]) == 1000 * seconds}
    kept: set[str] = set()

    def keep(found: re.Match[str]) -> str:
        of, ends = _REFERENCE.search(found[0]), _ENDS.search(found[0])
        # Within a subdivision the slots have no times: each piece begins where the one before it ends.
        begins = ends is not None and ends[1] in slots - late and (ends[2] in slots or not times[ends[2]])
        if begins or (of and of[1] in kept):
            kept.add(found[1])
            slots.update(ends.groups() if ends else ())
            return found[0]
        return ""

    content = _ANNOTATION.sub(keep, content)
    used = set(re.findall(r'TIME_SLOT_REF\d="(\w+)"', content))
    content = _SLOT.sub(lambda found: found[0] if found[1] in used else "", content)
    (HERE / "elan.eaf").write_text(content, encoding="utf-8", newline="")


def transcribe(expert: Path, items: int = 62) -> None:
    """Keep the first words."""
    found = json.loads(expert.read_text(encoding="utf-8"))
    results = found["results"]
    results["items"] = results["items"][:items]
    last = results["items"][-1]["alternatives"][0]["content"]
    whole = results["transcripts"][0]["transcript"]
    results["transcripts"] = [{"transcript": whole[: whole.index(last, 300) + len(last)]}]
    (HERE / "transcribe_words.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def word(page: Path) -> None:
    """Leave out who wrote the page, JTidy's remark in front of it, and the empty lines between its lines."""
    content = page.read_text(encoding="cp1252")
    lines = [line for line in content.splitlines(keepends=True)[1:] if line.strip()]
    content = _PROPERTIES.sub("", "".join(lines))
    (HERE / "word.doc").write_text(content, encoding="cp1252", newline="")


if __name__ == "__main__":
    {"elan": elan, "transcribe": transcribe, "word": word}[sys.argv[1]](Path(sys.argv[2]))
