"""Makes the examples of ELAN, Praat and SPSS files in this folder again.

    python make_tiers.py

needs pympi-ling 1.71 (`pip install pympi-ling`), Praat 6.3.07 and PSPP 1.6.2 (`apt-get install praat pspp`).

- `session.eaf` is written by pympi-ling 1.71, which is not ELAN; it writes files that ELAN opens.
- `subdivided.eaf` is typed here after what is public of ELAN's schema and source code: what pympi cannot write. ELAN
  itself, a desktop program, was not at hand.
- `long`, `short`, `utf16`, `binary` and `chronological.TextGrid` are written by Praat.
- `ratings.sav` and `ratings.zsav` are written by PSPP, not by SPSS.

All that is said in them is invented.
"""

import subprocess
import tempfile
from pathlib import Path

import pympi

HERE = Path(__file__).parent

SUBDIVIDED = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-02T10:00:00+01:00" FORMAT="2.8" VERSION="2.8"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv2.8.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/lab/s7.mp4" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./s7.mp4"/>
        <PROPERTY NAME="lastUsedAnnotationId">13</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts4"/>
        <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="3000"/>
        <TIME_SLOT TIME_SLOT_ID="ts6" TIME_VALUE="3500"/>
        <TIME_SLOT TIME_SLOT_ID="ts7" TIME_VALUE="6000"/>
        <TIME_SLOT TIME_SLOT_ID="ts8" TIME_VALUE="6500"/>
        <TIME_SLOT TIME_SLOT_ID="ts9"/>
        <TIME_SLOT TIME_SLOT_ID="ts10" TIME_VALUE="8500"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="utterance" PARTICIPANT="T" TIER_ID="T-speech">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts7">
            <ANNOTATION_VALUE>How was it to come here today?</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="utterance" PARTICIPANT="P" TIER_ID="P-speech">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts5">
            <ANNOTATION_VALUE>Well, fine.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts8" TIME_SLOT_REF2="ts9">
            <ANNOTATION_VALUE>If you must know.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts9" TIME_SLOT_REF2="ts10">
            <ANNOTATION_VALUE>It is the same every week.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="part" PARENT_REF="P-speech" PARTICIPANT="P" TIER_ID="P-phrases">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a5" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>Well</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a6" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
            <ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a7" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts5">
            <ANNOTATION_VALUE>fine</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER ANNOTATOR="Zoë" LINGUISTIC_TYPE_REF="phrase code" PARENT_REF="P-phrases" TIER_ID="phrase codes">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a8" ANNOTATION_REF="a7" CVE_REF="cve1">
            <ANNOTATION_VALUE>W2</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER ANNOTATOR="Max" LINGUISTIC_TYPE_REF="several" PARENT_REF="P-speech" TIER_ID="P codes in turn">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a11" ANNOTATION_REF="a3" PREVIOUS_ANNOTATION="a9">
            <ANNOTATION_VALUE>Denial</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a9" ANNOTATION_REF="a3">
            <ANNOTATION_VALUE>C1</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a12" ANNOTATION_REF="a99">
            <ANNOTATION_VALUE>C2</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER ANNOTATOR="Max" LINGUISTIC_TYPE_REF="utterance" TIER_ID="T codes">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a13" TIME_SLOT_REF1="ts6" TIME_SLOT_REF2="ts7">
            <ANNOTATION_VALUE>R1</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="utterance" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Time_Subdivision" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="part"
        TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" CONTROLLED_VOCABULARY_REF="3RS" GRAPHIC_REFERENCES="false"
        LINGUISTIC_TYPE_ID="phrase code" TIME_ALIGNABLE="false"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Subdivision" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="several"
        TIME_ALIGNABLE="false"/>
    <LANGUAGE LANG_DEF="http://cdb.iso.org/lg/CDB-00138502-001" LANG_ID="eng" LANG_LABEL="English (eng)"/>
    <CONSTRAINT DESCRIPTION="Time subdivision of parent annotation's time interval, no time gaps allowed within it"
        STEREOTYPE="Time_Subdivision"/>
    <CONSTRAINT DESCRIPTION="Symbolic subdivision of a parent annotation, in order"
        STEREOTYPE="Symbolic_Subdivision"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>
    <CONTROLLED_VOCABULARY CV_ID="3RS" EXT_REF="er1"/>
    <EXTERNAL_REF EXT_REF_ID="er1" TYPE="ecv" VALUE="file:///C:/lab/3rs.ecv"/>
</ANNOTATION_DOCUMENT>
"""

PRAAT = """
Create TextGrid: 0, 12.5, "Therapist Patient Codes_anna Codes_ben Events", "Events"
Insert boundary: 1, 0.25
Insert boundary: 1, 3.5
Set interval text: 1, 2, "What comes to mind\\nwhen I say ""next week""?"
Insert boundary: 2, 3.123456789
Insert boundary: 2, 6
Insert boundary: 2, 9
Set interval text: 2, 2, "Nothing. item [2]: ""TextTier"" {last}"
Set interval text: 2, 3, "I don't see the point of this."
Insert boundary: 3, 3.123456789
Insert boundary: 3, 6
Set interval text: 3, 2, "W2, W1"
Insert boundary: 4, 3.123456789
Insert boundary: 4, 9
Set interval text: 4, 2, "C1"
Insert point: 5, 7.5, "C2"
Save as text file: "{folder}/{long}.TextGrid"
Save as short text file: "{folder}/{short}.TextGrid"
"""
OTHERS = """
Save as binary file: "{folder}/binary.TextGrid"
Save as chronological text file: "{folder}/chronological.TextGrid"
"""

PSPP = """
SET DECIMAL=DOT.
DATA LIST LIST NOTABLE /session (A8) utterance (F4.0) speaker (F1.0) said (A300) coder (A6) code (F2.0) rating (F4.1)
  present (F1.0) seen (DATE11) saved (DATETIME22) from (TIME11.2) who (A10).
BEGIN DATA
"s1" 1 1 "{long}" "anna" 1 3 0 "03-FEB-2024" "03-FEB-2024 10:11:12" "00:00:01.50" "P"
"s1" 2 2 "Grüße, schön" "anna" 2 9 1 "04-FEB-2024" "03-FEB-2024 10:11:13" "30:00:01.00" "T"
"s2" 1 1 "" "ben" 1 2.5 1 "" "" "" "x"
END DATA.
VALUE LABELS speaker 1 "patient" 2 "therapist" /code 1 "Denial" 2 "R1" /rating 1 "not at all" 5 "very much"
  /present 0 "absent" 1 "present" /who "P" "Patient".
MISSING VALUES rating (9) /who ("x").
VARIABLE LEVEL speaker code present (NOMINAL) rating (ORDINAL).
SAVE OUTFILE="{folder}/ratings.sav".
SAVE OUTFILE="{folder}/ratings.zsav" /ZCOMPRESSED.
"""


def make_elan() -> None:
    """Two speakers, a coder on tiers of her own, one on a tier below the patient's speech."""
    eaf = pympi.Eaf(author="lab")
    eaf.add_linked_file("file:///lab/s1.wav", relpath="./s1.wav", mimetype="audio/x-wav")
    eaf.add_linguistic_type("codes")
    eaf.add_linguistic_type("code of utterance", constraints="Symbolic_Association", timealignable=False)
    eaf.add_controlled_vocabulary("3RS")
    eaf.add_tier("Therapist", ling="default-lt", part="T")
    eaf.add_tier("Patient", ling="default-lt", part="P")
    eaf.add_tier("3RS anna", ling="codes", ann="Anna")
    eaf.add_tier("Patient 3RS ben", ling="code of utterance", parent="Patient", ann="Ben")
    eaf.add_annotation("Therapist", 0, 2400, "Where would you like to begin?")
    eaf.add_annotation("Therapist", 6000, 9000, "You sound annoyed — with me?")
    eaf.add_annotation("Therapist", 11000, 11800, "mhm")
    eaf.add_annotation("Patient", 2400, 6500, "It doesn't matter, אין לי מושג 🙂.")
    eaf.add_annotation("Patient", 9100, 12000, "No, I'm fine, really.")
    eaf.add_annotation("3RS anna", 2400, 6500, "W2; W1")
    eaf.add_annotation("3RS anna", 9100, 12000, "Denial")
    eaf.add_annotation("3RS anna", 6000, 9000, "R1")
    eaf.add_ref_annotation("Patient 3RS ben", "Patient", 9200, "W1")
    eaf.to_file(str(HERE / "session.eaf"), pretty=True)
    (HERE / "subdivided.eaf").write_text(SUBDIVIDED, encoding="utf-8")


def make_textgrids() -> None:
    """The same session in all of Praat's forms; letters beyond ASCII make it write UTF-16."""
    plain = PRAAT.format(last="Well.", long="long", short="short", folder=HERE)
    scratch = "scratch"
    wide = PRAAT.format(last="Schön 🙂.", long="utf16", short=scratch, folder=HERE)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "make.praat"
        script.write_text(
            plain.replace("\\n", "'newline$'") + OTHERS.format(folder=HERE) + wide.replace("\\n", "'newline$'")
        )
        subprocess.run(["praat", "--run", str(script)], check=True)
    (HERE / f"{scratch}.TextGrid").unlink()


def make_sav() -> None:
    """Numbers with labels, missing values, times, and a text longer than one of SPSS's segments."""
    said = " ".join(f"word{number}" for number in range(1, 45))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "make.sps"
        script.write_text(PSPP.format(folder=HERE, long=said), encoding="utf-8")
        subprocess.run(["pspp", "--syntax-encoding=UTF-8", "-o", "/dev/null", str(script)], check=True)


if __name__ == "__main__":
    make_elan()
    make_textgrids()
    make_sav()
