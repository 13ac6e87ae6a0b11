"""Makes the example files of annotation tools again. Each kind is made in an environment of its own.

    python make_annotation.py label_studio   label-studio 1.23.2: a project of its own, exported through its API
    python make_annotation.py doccano        doccano 1.8.4: projects of its own, exported by its export task
    python make_annotation.py cas            dkpro-cassis 0.12.0, with layers as INCEpTION has them
    python make_annotation.py webanno        web-anno-tsv 0.0.1: WebAnno TSV 3.2, codes in the layer that it knows

doccano needs marshmallow<4 and numpy<2 beside it. The zip of a project with a CAS of each annotator is laid out as
INCEpTION's user guide says. What was said is invented.
"""

import io
import json
import os
import re
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
DIALOGUE = [
    ("T", "How was it to come back today?", 0.0, 2.5),
    ("P", "Fine, I guess. 🙂 Nothing new.", 3.0, 6.25),
    ("T", "You look away when you say that.", 7.0, 9.5),
    ("P", "You always ask the same. This isn't helping me!", 10.0, 14.0),
    ("T", "I hear that I missed something. Let us look at it.", 15.0, 19.0),
    ("P", "Okay.", 20.0, 21.0),
]
TEXT = "".join(f"{speaker}: {said}\n" for speaker, said, *_ in DIALOGUE)
#: What anna and ben marked: code, and the words.
ANNA = [("W2", "Fine, I guess. 🙂 Nothing new."), ("C1", "This isn't helping me!"), ("R1", "Let us look at it.")]
BEN = [("W2", "Nothing new."), ("C2", "You always ask the same."), ("C1", "the same. This isn't helping me!\nT: I")]


def place(words: str) -> tuple[int, int]:
    start = TEXT.index(words)
    return start, start + len(words)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def label_studio() -> None:
    os.environ |= {
        "LABEL_STUDIO_BASE_DATA_DIR": tempfile.mkdtemp(),
        "DJANGO_DB": "sqlite",
        "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
        "COLLECT_ANALYTICS": "0",
        "LATEST_VERSION_CHECK": "0",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    import label_studio as package

    sys.path.insert(0, str(Path(package.__file__).parent))
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from organizations.models import Organization
    from rest_framework.test import APIClient
    from users.models import User

    anna = User.objects.create_user("anna@lab.example", "password")
    organization = Organization.create_organization(created_by=anna, title="lab")
    ben = User.objects.create_user("ben@lab.example", "password")
    organization.add_user(ben)
    for user in (anna, ben):
        user.active_organization = organization
        user.save()
    clients = {user.username or user.email: APIClient() for user in (anna, ben)}
    for user, client in zip((anna, ben), clients.values(), strict=True):
        client.force_authenticate(user)
    by_anna, by_ben = clients.values()

    def project(config: str, tasks: list[dict]) -> tuple[int, list[int]]:
        made = by_anna.post("/api/projects", {"title": "3RS", "label_config": config}, format="json").json()
        answer = by_anna.post(f"/api/projects/{made['id']}/import", tasks, format="json")
        assert answer.status_code == 201, answer.content
        listed = by_anna.get(f"/api/tasks?project={made['id']}&fields=all").json()
        return made["id"], sorted(task["id"] for task in listed["tasks"])

    def annotate(client: APIClient, task: int, results: list[dict], **more: object) -> None:
        answer = client.post(
            f"/api/tasks/{task}/annotations/", {"result": results, "lead_time": 9.5, **more}, format="json"
        )
        assert answer.status_code == 201, answer.content

    def export(number: int, kind: str, name: str) -> None:
        answer = by_anna.get(f"/api/projects/{number}/export?exportType={kind}&download_all_tasks=true")
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        (HERE / name).write_text(json.dumps(json.loads(content), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    codes = "".join(f'<Label value="{code}"/>' for code in ("W1", "W2", "C1", "C2", "R1"))
    config = f"""<View><ParagraphLabels name="code" toName="dialogue">{codes}</ParagraphLabels>
    <Paragraphs name="dialogue" value="$dialogue" layout="dialogue" nameKey="author" textKey="text"/>
    <Rating name="intensity" toName="dialogue" perRegion="true"/></View>"""
    dialogue = [dict(zip(("author", "text", "start", "end"), one, strict=True)) for one in DIALOGUE]
    number, (first, second) = project(
        config,
        [
            {"data": {"session": "s1", "patient": "p7", "dialogue": dialogue}},
            {"data": {"session": "s2", "patient": "p7", "dialogue": dialogue[:2]}},
        ],
    )

    def region(key: str, code: str, start: int, end: int, offsets: tuple[int, int], words: str) -> dict:
        value = {
            "start": str(start),
            "end": str(end),
            "startOffset": offsets[0],
            "endOffset": offsets[1],
            "text": words,
        }
        common = {"id": key, "from_name": "code", "to_name": "dialogue", "type": "paragraphlabels", "origin": "manual"}
        return {**common, "value": {**value, "paragraphlabels": [code]}}

    said = [text for _, text, *_ in DIALOGUE]
    anna_marks = [
        region("a1", "W2", 1, 1, (0, utf16(said[1])), said[1]),
        region("a2", "C1", 3, 4, (25, 6), said[3][25:]),
    ]
    place_of = {key: anna_marks[1]["value"][key] for key in ("start", "end", "startOffset", "endOffset", "text")}
    rating = {"id": "a2", "from_name": "intensity", "to_name": "dialogue", "type": "rating", "origin": "manual"}
    annotate(by_anna, first, [*anna_marks, {**rating, "value": {**place_of, "rating": 4}}])
    annotate(by_ben, first, [region("b1", "C2", 3, 5, (0, len(said[5])), "\n".join(said[3:]))])
    annotate(by_anna, second, [])
    annotate(by_ben, second, [], was_cancelled=True)
    export(number, "JSON", "label_studio_dialogue.json")
    export(number, "JSON_MIN", "label_studio_dialogue_min.json")

    config = f"""<View><Labels name="code" toName="text">{codes}</Labels><Text name="text" value="$text"/>
    <Choices name="all" toName="text"><Choice value="W1"/><Choice value="C1"/></Choices></View>"""
    number, (only,) = project(config, [{"data": {"text": TEXT}}])

    def stretch(key: str, code: str, words: str) -> dict:
        start, end = place(words)
        value = {"start": start, "end": end, "text": words, "labels": [code]}
        return {"id": key, "from_name": "code", "to_name": "text", "type": "labels", "origin": "manual", "value": value}

    whole = {"id": "w", "from_name": "all", "to_name": "text", "type": "choices", "value": {"choices": ["C1"]}}
    annotate(by_anna, only, [stretch(f"a{at}", *mark) for at, mark in enumerate(ANNA)])
    annotate(by_ben, only, [*(stretch(f"b{at}", *mark) for at, mark in enumerate(BEN)), whole])
    export(number, "JSON", "label_studio_text.json")


def doccano() -> None:
    folder = tempfile.mkdtemp()
    os.environ |= {
        "DATABASE_URL": f"sqlite:///{folder}/doccano.db",
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
    }
    import backend

    sys.path.insert(0, str(Path(backend.__file__).parent))
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.MEDIA_ROOT = folder
    call_command("migrate", verbosity=0)
    call_command("create_roles", verbosity=0)
    from data_export.celery_tasks import export_dataset
    from django.contrib.auth import get_user_model
    from examples.models import Example
    from label_types.models import CategoryType, SpanType
    from labels.models import Category, Span
    from projects.models import ProjectType, SequenceLabelingProject, TextClassificationProject

    anna = get_user_model().objects.create_user("anna", password="password")

    def export(project: object, name: str) -> None:
        archive = zipfile.ZipFile(export_dataset(project.id, "JSONL", confirmed_only=False))
        (HERE / name).write_bytes(archive.read("anna.jsonl"))

    for relations, name in ((False, "doccano_spans.jsonl"), (True, "doccano_entities.jsonl")):
        project = SequenceLabelingProject.objects.create(
            name=name,
            created_by=anna,
            project_type=ProjectType.SEQUENCE_LABELING,
            use_relation=relations,
            allow_overlapping=True,
        )
        project.add_admin()
        example = Example.objects.create(project=project, text=TEXT, meta={"session": "s1"})
        for code, words in ANNA:
            label = SpanType.objects.create(project=project, text=code)
            start, end = place(words)
            Span.objects.create(example=example, label=label, start_offset=start, end_offset=end, user=anna)
        export(project, name)
    project = TextClassificationProject.objects.create(
        name="utterances", created_by=anna, project_type=ProjectType.DOCUMENT_CLASSIFICATION
    )
    project.add_admin()
    labels = {code: CategoryType.objects.create(project=project, text=code) for code in ("W2", "C1", "C2")}
    given = {1: ["W2"], 3: ["C1", "C2"]}
    for number, (speaker, said, *_) in enumerate(DIALOGUE):
        meta = {"session": "s1", "speaker": speaker, "order": number}
        example = Example.objects.create(project=project, text=said, meta=meta)
        for code in given.get(number, []):
            Category.objects.create(example=example, label=labels[code], user=anna)
    export(project, "doccano_utterances.jsonl")


def cas() -> None:
    from cassis import Cas, TypeSystem

    segmentation = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type"
    types = TypeSystem()
    sentence, token = types.create_type(f"{segmentation}.Sentence"), types.create_type(f"{segmentation}.Token")
    rupture, metadata = (
        types.create_type("webanno.custom.Rupture"),
        types.create_type("de.tudarmstadt.ukp.clarin.webanno.api.type.CASMetadata"),
    )
    for name in ("code", "remark"):
        types.create_feature(rupture, name, "uima.cas.String")
    for name in ("username", "sourceDocumentName"):
        types.create_feature(metadata, name, "uima.cas.String")

    def annotated(text: str, marks: list[tuple[str, str]], coder: str) -> Cas:
        made = Cas(types)
        made.sofa_string, made.sofa_mime = text, "text"
        made.add(metadata(begin=0, end=len(text), username=coder, sourceDocumentName="s1.txt"))
        for found in re.finditer(r".+", text):
            made.add(sentence(begin=found.start(), end=found.end()))
        for found in re.finditer(r"\w+|[^\w\s]", text):
            made.add(token(begin=found.start(), end=found.end()))
        for number, (code, words) in enumerate(marks):
            start, end = place(words)
            made.add(rupture(begin=start, end=end, code=code, remark="unsure" if number == 0 else None))
        return made

    annotated(TEXT, ANNA, "anna").to_json(HERE / "inception.json", pretty_print=True)
    with zipfile.ZipFile(HERE / "inception_project.zip", "w", zipfile.ZIP_DEFLATED) as project:
        for coder, marks in (("anna", ANNA), ("ben", BEN), ("INITIAL_CAS", [])):
            inner = io.BytesIO()
            with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{coder}.xmi", annotated(TEXT, marks, coder).to_xmi())
                archive.writestr("TypeSystem.xml", types.to_xml())
            project.writestr(f"annotation/s1.txt/{coder}.zip", inner.getvalue())
        project.writestr("exportedproject.json", "{}")


def webanno() -> None:
    """An utterance a sentence; annotations of two coders on it, for the library keeps none over several sentences."""
    from web_anno_tsv import Annotation, open_web_anno_tsv
    from web_anno_tsv.web_anno_tsv import AnnotatedSentence, Span

    # A mark may begin within a token.
    marks = [*ANNA, ("C2", "You always ask the same."), ("C1", "n't helping me!")]
    with open_web_anno_tsv(str(HERE / "webanno.tsv"), "w", overwrite=True) as file:
        for line in TEXT.splitlines():
            tokens = [Span(one[0], *one.span(), is_token=True) for one in re.finditer(r"[\w']+|[^\w\s]", line)]
            found = [
                Annotation(code, words, line.index(words), line.index(words) + len(words))
                for code, words in marks
                if words in line
            ]
            file.write(AnnotatedSentence(line, tokens, found))


if __name__ == "__main__":
    {"label_studio": label_studio, "doccano": doccano, "cas": cas, "webanno": webanno}[sys.argv[1]]()
