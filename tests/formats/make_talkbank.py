"""Makes `talkbank.cha` again: `python make_talkbank.py`, with batchalign 0.10.7, TalkBank's own library of CHAT.

It reads what stands here, refuses what CHAT does not allow (other roles than TalkBank's, times without @Media), and
writes it in TalkBank's form. What was said is invented.
"""

from pathlib import Path

from batchalign.chat import CHATFile

SAID = """@UTF8
@Begin
@Languages:\teng
@Participants:\tPAR Alex Participant, THE Robin Therapist
@ID:\teng|lab|PAR|34;|female|||Participant|||
@ID:\teng|lab|THE||male|||Therapist|||
@Media:\tsession, audio
@Transcriber:\tanna
*THE:\thow have you been &-um since <last week> [//] last month ? \x151200_3900\x15
%cod:\t$R1 $R8
*PAR:\tI (.) don't know &=sighs (be)cause I'm <not> [>] sure
\tabout any of this +... \x154000_8650\x15
%cod:\tW2 <w1>
%com:\tlooks away
*THE:\t+< <mhm> [<] . \x156000_6400\x15
*PAR:\tthis isn't help(ing) ! [+ C1] \x159000_9900\x15
@End
"""

if __name__ == "__main__":
    written = CHATFile.parse(SAID).stringify()
    (Path(__file__).parent / "talkbank.cha").write_text(written, encoding="utf-8", newline="")
