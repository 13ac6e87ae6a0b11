"""Makes the example files of annotation tools that could not be had: run `python make_annotation_by_hand.py`.

INCEpTION (WebAnno TSV 3.3) and Prodigy are a Java server and a commercial program. These files are laid out as the
makers' documentation says (the chapter on WebAnno TSV 3.3 in INCEpTION's user guide) and as datasets that Prodigy
exported and others published (`db-out`), with places computed here. They have codes of 3RS and two coders, which the
files that the tools themselves wrote (README.md) do not have. `webanno_stacked.tsv` stands beside what a library wrote
(make_annotation.py): version 3.3, a layer of one's own with a remark, and a code over two sentences.
"""

import json
import re

from make_annotation import ANNA, BEN, DIALOGUE, HERE, TEXT, place, utf16

REMARK = "not sure\\; see \\[2\\]"


def written() -> None:
    (HERE / "webanno_stacked.tsv").write_text(webanno(), encoding="utf-8")
    prodigy()


def webanno() -> str:
    """A sentence per line; the layer Rupture has a code and a remark, the layer POS is there as INCEpTION has it."""
    head = ["#FORMAT=WebAnno TSV 3.3", "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue"]
    rows = [*head, "#T_SP=webanno.custom.Rupture|code|remark", ""]
    marks = [(code, *place(words)) for code, words in ANNA + BEN[1:]]
    at = 0
    for number, line in enumerate(TEXT.splitlines(keepends=True), 1):
        rows += ["", "#Text=" + line.rstrip("\n").replace("\\", "\\\\")]
        for token, found in enumerate(re.finditer(r"\w+|[^\w\s]", line), 1):
            start, end = at + found.start(), at + found.end()
            on = [(n, code) for n, (code, a, b) in enumerate(marks, 1) if a < end and start < b]
            codes = "|".join(f"{code}[{n}]" for n, code in on) or "_"
            remarks = "|".join(f"{REMARK if n == 1 else '*'}[{n}]" for n, _ in on) or "_"
            place_in_java = f"{utf16(TEXT[:start])}-{utf16(TEXT[:end])}"
            pos = "V" if found[0] == "look" else "_"
            rows.append(f"{number}-{token}\t{place_in_java}\t{found[0]}\t{pos}\t{codes}\t{remarks}\t")
        at += len(line)
    return "\n".join(rows) + "\n"


def prodigy() -> None:
    """Utterances by `choice` and by the binary `classification`, and a session by `spans_manual`."""
    options = [{"id": code, "text": code} for code in ("W2", "C1", "C2")]
    chosen = {"lab-anna": {1: ["W2"], 3: ["C1"]}, "lab-ben": {1: ["W2"], 3: ["C1", "C2"]}}
    tasks = []
    for coder, given in chosen.items():
        for number, (speaker, said, *_) in enumerate(DIALOGUE):
            answer = "ignore" if coder == "lab-ben" and number == 5 else "accept"
            common = {"text": said, "meta": {"session": "s1", "speaker": speaker, "turn": number}}
            hashes = {"_input_hash": -1000 - number, "_task_hash": -2000 - number, "_is_binary": False}
            view = {"options": options, "_view_id": "choice", "config": {"choice_style": "multiple"}}
            who = {"_timestamp": 1700000000 + number, "_annotator_id": coder, "_session_id": coder}
            tasks.append({**common, **hashes, **view, "accept": given.get(number, []), "answer": answer, **who})
    lines("prodigy_choice.jsonl", tasks)
    tasks = []
    for number, code, answer in (
        (1, "W2", "accept"),
        (1, "C1", "reject"),
        (3, "W2", "reject"),
        (3, "C1", "accept"),
        (5, "C1", "reject"),
    ):
        common = {
            "text": DIALOGUE[number][1],
            "meta": {"score": 0.5},
            "label": code,
            "tokens": tokens(DIALOGUE[number][1]),
            "_input_hash": number,
            "_task_hash": number * 100 + int(code[1]),
        }
        who = {"_timestamp": 1700000000 + number, "_annotator_id": "lab-anna", "_session_id": "lab-anna"}
        tasks.append({**common, "_view_id": "classification", "answer": answer, **who})
    lines("prodigy_binary.jsonl", tasks)
    split = tokens(TEXT)
    spans = []
    for code, words in ANNA:
        start, end = place(words)
        on = [one["id"] for one in split if start <= one["start"] and one["end"] <= end]
        spans.append({"start": start, "end": end, "token_start": on[0], "token_end": on[-1], "label": code})
    task = {"text": TEXT, "_input_hash": 5, "_task_hash": 6, "_is_binary": False, "tokens": split}
    view = {"_view_id": "spans_manual", "spans": spans, "answer": "accept", "_timestamp": 1700000000}
    lines("prodigy_spans.jsonl", [{**task, **view, "_annotator_id": "lab-anna", "_session_id": "lab-anna"}])


def tokens(text: str) -> list[dict]:
    """Words as Prodigy lists them; `ws`: white space follows."""
    return [
        {"text": one[0], "start": one.start(), "end": one.end(), "id": number, "ws": text[one.end() :][:1] == " "}
        for number, one in enumerate(re.finditer(r"\w+|[^\w ]", text))
    ]


def lines(name: str, objects: list[dict]) -> None:
    """Write a line an object, without spaces and in ASCII, as Prodigy does."""
    (HERE / name).write_text(
        "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in objects), encoding="utf-8"
    )


if __name__ == "__main__":
    written()
