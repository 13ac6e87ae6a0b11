"""Annotations of brat and INCEpTION: stretches of a text with labels, to lines and marks."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.annotations import CHANGES, CONTEXT, CROSSES, EXAMPLES, POS, SAID, damage, marks, read, reasons, said, zipped
from tests.lab_tables import ROLES
from threers.codebook import Codebook
from threers.errors import InputError
from threers.formats import brat, cas, import_files, webanno
from threers.formats.files import File


def test_brat_reads_the_text_beside_it_pieces_of_a_span_ratings_and_says_what_it_left_out():
    [document] = read(brat, EXAMPLES / "brat.ann")
    assert said(document) == SAID
    assert marks(document) == [
        ("", "W2", "", (1, 1)),
        ("", "C1", "4", (3, 3)),
        ("", "R1", "", (4, 4)),
        ("", "C2", "", (3, 3)),
    ]
    assert reasons(document) == [
        "not a coding: 1 notes of annotators in this file; left out",
        "not a coding: 1 relations in this file; left out",
        "not a code: attribute Unsure, 1 times; left out",
    ]
    assert brat.companions(EXAMPLES / "brat.ann") == [EXAMPLES / "brat.txt"]
    assert brat.companions(EXAMPLES / "webanno.tsv") == []


def test_brat_codes_that_are_events_take_what_is_said_of_the_event():
    [document] = read(brat, EXAMPLES / "brat_events.ann")
    assert said(document) == SAID
    assert marks(document) == [
        ("", "W2", "", (1, 1)),
        ("", "C1", "4", (3, 3)),
        ("", "R1", "", (4, 4)),
        ("", "R1", "", (5, 5)),
    ]
    assert reasons(document) == ["not a coding: 1 notes of annotators in this file; left out"]
    (events,) = reasons(read(brat, EXAMPLES / "brat.ann", b"T1\tC1 150 152\tme\nE1\tC1:T1 Cause:T1\n")[0])
    assert events == "not a coding: 1 events with arguments in this file; left out"


def test_brat_lays_down_an_empty_file_for_a_text_in_which_nothing_is_marked(tmp_path):
    [document] = read(brat, EXAMPLES / "brat_empty.ann")
    assert said(document) == SAID and not document.marks and not document.notes
    corpus = import_files(EXAMPLES / "brat_empty.ann", codebook="3rs-2015", roles=ROLES)
    assert len(corpus.utterances) == 6 and corpus.codings.empty and corpus.rejects.empty
    (tmp_path / "s.ann").touch()
    with pytest.raises(InputError, match=r"expected a \.txt file of the same name"):
        import_files(tmp_path / "s.ann", codebook="3rs-2015", roles=ROLES)


def test_brat_finds_its_places_again_after_line_ends_were_changed_or_a_mark_was_put_in_front(tmp_path):
    shutil.copy(EXAMPLES / "brat.ann", tmp_path)
    text = (EXAMPLES / "brat.txt").read_bytes()
    expected = marks(read(brat, EXAMPLES / "brat.ann")[0])
    (tmp_path / "brat.txt").write_bytes(text.replace(b"\n", b"\r\n"))
    [document] = read(brat, tmp_path / "brat.ann")
    assert said(document) == SAID and marks(document) == expected and len(document.notes) == 3
    (tmp_path / "brat.txt").write_bytes(text.replace(b"today", b"this very day"))
    [document] = read(brat, tmp_path / "brat.ann")
    assert any(reason.startswith("text changed: the text differs from what 4 of 4") for reason in reasons(document))


def test_brat_takes_attributes_that_are_codes_and_underlines_for_spaces(tmp_path):
    (tmp_path / "s.txt").write_text("P: no\nT: well\n")
    title = Codebook.load("3rs-2015").codes["W1"].title.replace(" ", "_")
    lines = ["T1\tRupture 3 5\tno", "A1\tCode T1 C1", f"T2\t{title} 3 5\tno", "T3\tW99 9 13\twell"]
    content = "\n".join([*lines, "A2\tC2 T3", "A3\tCode E7 C1", "rubbish"])
    [document] = read(brat, tmp_path / "s.ann", content.encode())
    assert [mark[1] for mark in marks(document)] == ["C1", title.replace("_", " "), "C2"]
    assert document.notes == [
        (7, "not readable: no line of brat's standoff format; row dropped"),
        (6, "no such annotation: an attribute of nothing; row dropped"),
    ]


def test_brat_without_its_text_says_where_to_put_it(tmp_path):
    shutil.copy(EXAMPLES / "brat.ann", tmp_path)
    with pytest.raises(InputError, match=r"expected a \.txt file of the same name beside the \.ann file"):
        read(brat, tmp_path / "brat.ann")


def test_brat_says_of_the_text_what_is_wrong_with_it(tmp_path):
    (tmp_path / "s.ann").write_bytes(b"T1\tW1 3 5\tn\xc3\xa9\n")
    (tmp_path / "s.txt").write_bytes("P: né\nT: très bien, j'espère\n".encode("cp1252"))
    [document] = read(brat, tmp_path / "s.ann")
    assert document.notes == [(None, "encoding: not UTF-8; read as cp1252, in the .txt file")]
    (tmp_path / "s.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"the \.txt file beside the \.ann file: the file is empty"):
        read(brat, tmp_path / "s.ann")


STACKED = [
    ("", "W2", "", (1, 1)),
    ("", "C2", "", (3, 3)),
    ("", "C1", "", (3, 3)),
    ("", "C1", "", (3, 3)),
    ("", "R1", "", (4, 4)),
]


def test_webanno_reads_what_a_library_wrote_with_a_code_that_begins_within_a_token():
    [document] = read(webanno, EXAMPLES / "webanno.tsv")
    assert said(document) == SAID
    assert marks(document) == STACKED
    assert document.notes == []


def test_webanno_reads_stacked_codes_over_many_tokens_and_counts_emoji_as_java_does():
    [document] = read(webanno, EXAMPLES / "webanno_stacked.tsv")
    assert said(document) == SAID
    assert marks(document) == STACKED
    assert reasons(document) == [
        CROSSES,
        "not a code: feature remark of layer webanno.custom.Rupture, 1 values; left out",
        f"not a code: feature PosValue of layer {POS}, 2 values; left out",
    ]


def test_a_sentence_may_have_two_lines_and_an_annotation_two_sentences():
    content = b"""#FORMAT=WebAnno TSV 3.3
#T_SP=custom.Span|value


#Text=P: not
#Text=today
1-1	0-1	P	_
1-2	3-6	not	C1[1]
1-3	7-12	today	C1[1]

#Text=P: no
2-1	13-14	P	C1[1]
2-2	16-18	no	C1[1]|W1[2]
2-2.1	16-17	n	C2[3]
"""
    [document] = read(webanno, Path("s.tsv"), content)
    assert said(document) == [("P", "not today"), ("P", "no")]
    assert marks(document) == [("", "C1", "", (0, 1)), ("", "C2", "", (1, 1)), ("", "W1", "", (1, 1))]


def test_webanno_unescapes_leaves_out_links_and_takes_a_code_written_wrongly_where_codes_stand():
    content = r"""#FORMAT=WebAnno TSV 3.3
#T_SP=custom.Frame|code|ROLE_custom.Frame:Roles_custom.FrameRolesLink|custom.Lu|remark
#T_SP=custom.Empty|
#T_RL=custom.Link|C1|BT_custom.Frame


#Sentence.id=s1
#Text=P: a \\ b
#Text=on
1-1	0-1	P	_	_	_	_	_	_	_
1-2	3-4	a	W1|\[W99\]	C1;C2	1-1;1-2	*|C\|x\*	*	C1	1-1
1-2.1	3-3		*	_	_	_	_	_	_

#Text=no
2-1	12-14	no	C1	_	_	_	*	_	_
"""
    [document] = read(webanno, Path("s.tsv"), content.encode())
    assert said(document) == [("P", "a \\ b on no")]
    assert [mark[1] for mark in marks(document)] == ["W1", "[W99]", "C1"]
    assert reasons(document) == [
        "not a code: feature remark of layer custom.Frame, 1 values; left out",
        "not a code: layer custom.Empty without a feature, 2 values; left out",
        "not a code: layer custom.Frame without a feature, 1 values; left out",
        "not a coding: layers of relations or chains; left out",
    ]


def test_a_layer_for_each_code_is_read_by_its_name():
    content = (
        b"#FORMAT=WebAnno TSV 3.3\n#T_SP=webanno.custom.C1|\n\n\n#Text=P: no\n1-1\t0-1\tP\t_\t\n1-2\t3-5\tno\t*\t\n"
    )
    assert marks(read(webanno, Path("s.tsv"), content)[0]) == [("", "C1", "", (0, 0))]


def test_in_a_folder_named_like_a_document_the_file_is_the_coder():
    content = (EXAMPLES / "webanno.tsv").read_bytes()
    for path, session, coder in (
        ("project/annotation/s1.txt/anna.tsv", "s1", "anna"),
        ("s1.v2.txt/ben.tsv", "s1.v2", "ben"),
        ("curation/session 1/CURATION_USER.tsv", "session 1", "CURATION_USER"),
        ("annotation/s1.txt/INITIAL_CAS.tsv", "s1", ""),
        ("transcripts/s1.tsv", "", ""),
    ):
        [document] = read(webanno, Path(path), content)
        assert document.session == session
        assert {mark.coder for mark in document.marks} == {coder}


def test_a_named_annotator_without_a_code_has_read_it_all():
    content = (
        b"#FORMAT=WebAnno TSV 3.2\n#T_SP=custom.Rupture|code\n\n\n#Text=P: no\n1-1\t0-1\tP\t_\t\n1-2\t3-5\tno\t_\t\n"
    )
    [document] = read(webanno, Path("annotation/s1/anna.tsv"), content)
    assert marks(document) == [("anna", "", "", (0, 0))]
    [document] = read(webanno, Path("s1.tsv"), content)
    assert marks(document) == []


def test_a_zip_of_tables_is_one_document_per_session_with_all_its_coders():
    content = (EXAMPLES / "webanno.tsv").read_bytes()
    members = {f"annotation/{name}.tsv": content for name in ("s1.txt/anna", "s1.txt/ben", "s2.txt/anna")}
    archive = zipped({"exportedproject.json": b"{}", "log/a.txt": b"x", "__MACOSX/annotation/._a.tsv": b"x", **members})
    assert webanno.FORMAT.fits(File(Path("p.zip"), archive)) and not cas.FORMAT.fits(File(Path("p.zip"), archive))
    first, second = read(webanno, Path("p.zip"), archive)
    assert (first.session, second.session) == ("s1", "s2")
    assert [mark.coder for mark in first.marks] == ["anna"] * 5 + ["ben"] * 5


def test_a_damaged_file_in_an_archive_is_named():
    content = (EXAMPLES / "webanno.tsv").read_bytes()
    members = {"annotation/s1.txt/anna.tsv": content, "annotation/s2.txt/ben.tsv": b"#FORMAT=WebAnno TSV 3.3\n"}
    with pytest.raises(InputError, match=r"^s2\.txt/ben\.tsv in the archive: no text with tokens"):
        read(webanno, Path("p.zip"), zipped(members))


def test_a_json_cas_says_who_annotated_which_document():
    [document] = read(cas, EXAMPLES / "inception.json")
    assert document.session == "s1"
    assert said(document) == SAID
    assert marks(document) == [("anna", "W2", "", (1, 1)), ("anna", "C1", "", (3, 3)), ("anna", "R1", "", (4, 4))]
    assert reasons(document) == ["not a code: feature remark of layer webanno.custom.Rupture, 1 values; left out"]


def test_a_project_of_xmi_files_in_zips_in_a_zip_is_read_whole():
    [document] = read(cas, EXAMPLES / "inception_project.zip")
    assert document.session == "s1"
    assert said(document) == SAID
    assert marks(document) == [
        ("anna", "W2", "", (1, 1)),
        ("anna", "C1", "", (3, 3)),
        ("anna", "R1", "", (4, 4)),
        ("ben", "W2", "", (1, 1)),
        ("ben", "C2", "", (3, 3)),
        ("ben", "C1", "", (3, 3)),
    ]
    assert CROSSES in reasons(document)


def test_cassis_reads_the_same_places():
    cassis = pytest.importorskip("cassis")
    with (EXAMPLES / "inception.json").open("rb") as file:
        known = cassis.load_cas_from_json(file)
    text = known.sofa_string
    words = {one.code: text[one.begin : one.end] for one in known.select("webanno.custom.Rupture")}
    [document] = read(cas, EXAMPLES / "inception.json")
    assert {mark.code: document.lines[mark.lines[0]].text for mark in document.marks}.keys() == words.keys()
    for mark in document.marks:
        assert words[mark.code] in document.lines[mark.lines[0]].text


XMI = """<?xml version="1.0"?><xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore"
 xmlns:s="http:///de/tudarmstadt/ukp/dkpro/core/api/segmentation/type.ecore" xmlns:c="http:///webanno/custom.ecore">
<c:Span xmi:id="1" sofa="9" begin="0" end="3" code="W1"><more>C1</more><more>C2</more></c:Span>
<c:Span xmi:id="2" sofa="8" begin="0" end="3" code="C1"/><c:Span xmi:id="3" sofa="9" begin="x" end="3" code="C1"/>
<s:Sentence xmi:id="4" sofa="9" begin="0" end="4"/><s:Sentence xmi:id="5" sofa="9" begin="5" end="9"/>
<cas:Sofa xmi:id="8" sofaID="other" sofaString="nothing"/>
<cas:Sofa xmi:id="9" sofaID="_InitialView" sofaString="Yes. No, I"/></xmi:XMI>"""


def test_xmi_without_types_and_without_speakers_has_its_sentences_for_lines_and_lists_of_codes():
    file = File(Path("s.xmi"), XMI.encode())
    assert cas.FORMAT.fits(file)
    [document] = cas.FORMAT.read(file, CONTEXT)
    assert said(document) == [("", "Yes."), ("", "No,")]
    assert [mark[1:] for mark in marks(document)] == [("W1", "", (0, 0)), ("C1", "", (0, 0)), ("C2", "", (0, 0))]


def test_lists_in_a_json_cas_are_codes_and_links_are_not():
    structures = [
        {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaID": "_InitialView", "sofaString": "P: no\nT: \ud83d\udc4d yes"},
        {"%ID": 2, "%TYPE": "uima.cas.StringArray", "%ELEMENTS": ["W1", "C1"]},
        {"%ID": 3, "%TYPE": "custom.X", "@sofa": 1, "begin": 3, "end": 5, "@codes": 2, "@head": 7, "n": None, "o": {}},
        {"%ID": 4, "%TYPE": "custom.X", "@sofa": 1, "begin": 12, "end": 15, "codes": ["R1", ["x"]]},
        {"%ID": [], "%TYPE": [], "%ELEMENTS": 3},
        {"%TYPE": "custom.C2", "@sofa": 1, "begin": 12, "end": 15},
        "rubbish",
    ]
    for found in (structures, dict(enumerate(structures))):
        [document] = read(cas, Path("s.json"), json.dumps({"%TYPES": {}, "%FEATURE_STRUCTURES": found}).encode())
        codes = [("W1", (0, 0)), ("C1", (0, 0)), ("R1", (1, 1)), ("C2", (1, 1))]
        assert [(code, lines) for _, code, _, lines in marks(document)] == codes


def test_hostile_and_damaged_files_are_errors_of_one_line():
    entities = XMI.replace("?>", '?><!DOCTYPE x [<!ENTITY a "b">]>', 1).replace("Yes.", "&a;")
    with pytest.raises(InputError, match="entities"):
        read(cas, Path("s.xmi"), entities.encode())
    with pytest.raises(InputError, match="well-formed"):
        read(cas, Path("s.xmi"), XMI[:-20].encode())
    with pytest.raises(InputError, match="sofaString"):
        read(cas, Path("s.json"), b'{"%FEATURE_STRUCTURES": []}')
    with pytest.raises(InputError, match="feature structures"):
        read(cas, Path("s.json"), b'{"%FEATURE_STRUCTURES": 7}')
    with pytest.raises(InputError, match="outside of itself"):
        read(webanno, Path("p.zip"), zipped({"../a.tsv": b"#FORMAT=WebAnno TSV 3.3\n"}))
    with pytest.raises(InputError, match="archive without annotations"):
        read(webanno, Path("p.zip"), zipped({"a.tsv": b"x\ty\n"}))
    far = b"#FORMAT=WebAnno TSV 3.3\n\n\n#Text=a\n1-1\t999999999-999999999\ta\n"
    with pytest.raises(InputError, match="do not fit the text"):
        read(webanno, Path("s.tsv"), far)
    with pytest.raises(InputError, match="no text with tokens"):
        read(webanno, Path("s.tsv"), b"#FORMAT=WebAnno TSV 3.3\n")


def test_a_format_is_told_by_content():
    for module, names in (
        (brat, ["brat.ann", "brat_empty.ann", "brat_events.ann"]),
        (webanno, ["webanno.tsv", "webanno_stacked.tsv"]),
        (cas, ["inception.json", "inception_project.zip"]),
    ):
        fitting = [
            path.name for path in sorted(EXAMPLES.iterdir()) if path.is_file() and module.FORMAT.fits(File(path))
        ]
        assert fitting == names


def test_a_long_session_with_many_codes_is_read_at_once():
    lines = "".join(f"{'PT'[n % 2]}: utterance {n}\n" for n in range(10_000))
    structures = [{"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaID": "_InitialView", "sofaString": lines}]
    structures += [{"%TYPE": "custom.X", "@sofa": 1, "begin": n, "end": n + 90, "code": "W1"} for n in range(10_000)]
    [document] = read(cas, Path("s.json"), json.dumps({"%FEATURE_STRUCTURES": structures}).encode())
    assert len(document.lines) == len(document.marks) == 10_000


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (brat, "brat.ann"),
        (webanno, "webanno.tsv"),
        (webanno, "webanno_stacked.tsv"),
        (cas, "inception.json"),
        (cas, "inception_project.zip"),
        (cas, "s.xmi"),
    ],
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=CHANGES)
def test_damaged_bytes_are_read_or_refused_and_nothing_else(module, name, changes):
    original = XMI.encode() if name == "s.xmi" else (EXAMPLES / name).read_bytes()
    try:
        file = File(EXAMPLES / name, damage(original, changes))
    except InputError:
        return
    module.FORMAT.fits(file)
    try:
        documents = module.FORMAT.read(file, CONTEXT)
    except InputError as error:
        assert "\n" not in str(error)
        return
    for document in documents:
        for mark in document.marks:
            assert mark.lines is None or 0 <= mark.lines[0] <= mark.lines[1] < len(document.lines)
