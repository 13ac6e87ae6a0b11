"""Makes the examples of transcripts as text documents in this folder again.

    python make_speech.py

needs LibreOffice Writer (made with 7.4.7 of Debian 12: `apt-get install libreoffice-writer`) and python-docx 1.2.0.

- `session.odt`, `session.docx`, `session.rtf`, `session.html` and `session.doc` (the binary kind, which is refused) are
  converted by LibreOffice from one flat OpenDocument text, typed here: a title, a table, a line break, a footnote, a
  comment, a tracked deletion and a tracked insertion.
- `coded.docx` is written by python-docx: a transcript as a lab types it, with comments of two coders.
- `page.doc` is typed here: a web page with the name of a Word file, as some services export it, in Windows-1252.
- `f4.txt` is typed here in the layout of f4transkript (time at the end of a paragraph); f4 was not at hand.
- `teams.txt` is typed here in the layout of transcripts that Microsoft Teams wrote and that others published, with the
  lines by which it says who had it transcribe; Teams was not at hand.
- `windows.txt`, `macintosh.txt` and `utf16.txt` are typed here and encoded by iconv (glibc 2.36).

All that is said in them is invented.
"""

import subprocess
import tempfile
from pathlib import Path

import docx

HERE = Path(__file__).parent

FLAT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" office:version="1.3"
 office:mimetype="application/vnd.oasis.opendocument.text">
<office:body><office:text>
<text:tracked-changes text:track-changes="true">
<text:changed-region text:id="c1"><text:deletion><office:change-info><dc:creator>Ada</dc:creator>
<dc:date>2026-03-01T10:00:00</dc:date></office:change-info><text:p> really</text:p></text:deletion>
</text:changed-region>
<text:changed-region text:id="c2"><text:insertion><office:change-info><dc:creator>Ada</dc:creator>
<dc:date>2026-03-01T10:01:00</dc:date></office:change-info></text:insertion></text:changed-region>
</text:tracked-changes>
<text:h text:outline-level="1">Session 4, transcript</text:h>
<text:p>Date: 3 March</text:p>
<text:p/>
<text:p>T: How was the<text:s text:c="2"/>week<text:change
 text:change-id="c1"/>?<text:line-break/>Take your time.</text:p>
<text:p>P:<text:tab/>It was “fine”, Grüße, 😀<office:annotation><dc:creator>Ada</dc:creator>
<dc:date>2026-03-01T10:02:00</dc:date><text:p>W2</text:p></office:annotation>.</text:p>
<text:p>(looks away)</text:p>
<text:p>T: Only<text:change-start text:change-id="c2"/> just<text:change-end text:change-id="c2"/> fine?<text:note
 text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>Whispered.</text:p>
</text:note-body></text:note></text:p>
<table:table table:name="t"><table:table-column table:number-columns-repeated="2"/>
<table:table-row><table:table-cell><text:p>P</text:p></table:table-cell>
<table:table-cell><text:p>And then she said: no.</text:p><text:p>That was all.</text:p>
</table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>T</text:p></table:table-cell>
<table:table-cell><text:p>I see.</text:p></table:table-cell></table:table-row></table:table>
<text:p>P: Yes.</text:p>
</office:text></office:body></office:document>
"""

PAGE = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head>
<meta http-equiv=Content-Type content="text/html; charset=windows-1252"><title>T: no speech</title>
<style>p { margin: 0 } /* P: no speech */</style><script>var a = "<p>P: no speech</p>";</script></head>
<body><!-- T: no speech --><p class=MsoNormal>T:&nbsp;Good&#32;morning,
  how are&nbsp;you?<o:p></o:p></p><p>P: Tired &amp; a bit
<b>annoyed</b> \u2026<br>with you, to be honest.</p>
<table><tr><td><p>T</p><td><p>With me?</p><tr><td>P</td><td>Yes.<br>
(laughs) That is <del>not</del> so &lt;3</td></tr></table>
<div>T: Grüße \u2013 bis</div> nächste Woche</body></html>
"""

F4 = """Interview 3

T: How was the week? #00:00:04-2#

P: It was fine. I said: it was fine. #00:00:09-8#

(5 sec) #00:00:15-0#

T: Only fine? #00:00:16-5#

P: I don't want to talk about it. #00:01:20-0#
"""

TEAMS = """Intake-20260303_100012-Meeting Recording
March 3, 2026, 9:00AM
1h 0m 20s

Ada Lind started transcription

Gale, Ada   0:02
Hello, I leave you two alone.

Vale, Robin   0:03
How was the week?
Take your time, it is 10:30

M [External]   0:09
It was fine.

Vale, Robin   1:00:12
Only fine?

M [External]   1:00:14
Yes.

Ada Lind stopped transcription
"""

OLD = """Th.: Wie geht\u2019s Ihnen heute?
Pat.: Müde … und, naja, „geht so“.
Schöne Grüße übrigens.
Th.: Für wen?
Pat.: Für Sie.
"""


def main() -> None:
    """Write the examples."""
    with tempfile.TemporaryDirectory() as folder:
        flat = Path(folder) / "session.fodt"
        flat.write_text(FLAT, encoding="utf-8")
        for suffix in ("odt", "docx", "rtf", "html", "doc"):
            home = f"-env:UserInstallation=file://{folder}/home"
            command = ["soffice", home, "--headless", "--convert-to", suffix, "--outdir", str(HERE), str(flat)]
            subprocess.run(command, check=True, capture_output=True)
    write_coded(HERE / "coded.docx")
    (HERE / "page.doc").write_bytes(PAGE.encode("cp1252"))
    (HERE / "f4.txt").write_text(F4, encoding="utf-8")
    (HERE / "teams.txt").write_text(TEAMS, encoding="utf-8")
    for name, encoding, ends in (
        ("windows", "CP1252", "\r\n"),
        ("macintosh", "MACINTOSH", "\r"),
        ("utf16", "UTF-16", "\n"),
    ):
        command, text = ["iconv", "-f", "UTF-8", "-t", encoding], OLD.replace("\n", ends).encode()
        (HERE / f"{name}.txt").write_bytes(subprocess.run(command, input=text, check=True, capture_output=True).stdout)


def write_coded(path: Path) -> None:
    """Write a transcript with comments as coders leave them."""
    document = docx.Document()
    document.add_heading("Session 7", 1)
    said = [
        ("[00:00:02] T: ", "How was the week?"),
        ("[00:00:05] P: ", "Fine."),
        ("", "And she said: no, never."),
        ("[00:00:20] T: ", "You seem far away."),
        ("[00:00:24] P: ", "I am here, am I not?"),
    ]
    runs = []
    for speaker, text in said:
        paragraph = document.add_paragraph()
        runs.append([paragraph.add_run(speaker), paragraph.add_run(text)])
    document.add_comment(runs[1][1], "W2", "Anna", "A")
    document.add_comment([runs[1][0], runs[2][1]], "W2 Minimal response; W3", "Ben", "B")
    document.add_comment([runs[1][1], runs[4][1]], "c2 = 3", "Anna", "A")
    document.add_comment(runs[4][0], "W1, W99 (not sure)", "Ben", "B")
    document.add_comment(runs[3][1], "Check the recording here", "Anna", "A")
    document.save(str(path))


if __name__ == "__main__":
    main()
