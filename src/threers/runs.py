"""One function per verb: files in, files out. The whole story on one page. Layer 5."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from threers.abstention import limits_for
from threers.agreement.frame import MODEL
from threers.codebook import Codebook
from threers.comparison import compare, in_short, require_unread, require_unseen
from threers.corpus import Corpus, coded_sessions, grouped_folds, grouped_split, table_hash
from threers.doctor import versions
from threers.errors import InputError, OutputExistsError
from threers.finishing import finish_scores
from threers.folders import made_beside, owned, require_free, workplace
from threers.formats import import_files, read_two_tables
from threers.formats.privacy import find_identifiers, read_names, summarise
from threers.jobs import (
    AdaptRun,
    AgreeRun,
    EvaluateRun,
    ExportRun,
    ImportRun,
    PurgeRun,
    ReportRun,
    SampleRun,
    ScoreRun,
    TrainRun,
)
from threers.purge import Found, delete, find, kind_of
from threers.report import Batch, write_pages
from threers.sampling import doubt_of_sessions, draw, uncoded_sessions, write_sheets
from threers.scores import read_scores, scores_to_codings, write_csv, write_json, write_parquet
from threers.settings import Backbone, Training
from threers.streams import Source
from threers.summary import write_summaries

#: Settings that a folder of pages depends on, beside its scores.
REPORT_IDENTITY = ("include_text", "blind", "segment_minutes", "repair_segments")


def import_corpus(run: ImportRun) -> Corpus:
    """Transcript and coding files to a corpus folder; returns the corpus, its rejects with it."""
    out = Path(run.corpus).expanduser()
    require_free(out, "corpus", run.overwrite)
    corpus = import_files(run.source, run.reader, run.codebook or None, run.roles, run.columns, every_role=True)
    if run.privacy != "off":
        corpus.identifiers = find_identifiers(corpus.utterances, read_names(run.names) if run.names else ())
        if run.privacy == "refuse" and len(corpus.identifiers):
            found = "; ".join(summarise(corpus.identifiers))
            raise InputError(f"source={run.source}: {found}. Nothing was written; mask them, or say privacy=warn")
    corpus.save(out, overwrite=run.overwrite)
    return corpus


def adapt(run: AdaptRun) -> dict[str, Any]:
    """A backbone to a folder with one that has read the transcripts of a corpus, coded or not; a run that was cut off
    goes on from its last epoch. Returns the manifest.
    """
    from threers import adaptation
    from threers.backbones import adapted, locate

    out = Path(run.out).expanduser()
    require_free(out, "out", run.overwrite)
    if out.exists() and kind_of(out) != "adapted backbone":
        raise OutputExistsError(f"out={out}: holds something else than an adapted backbone; name another folder")
    corpus, training = Corpus.load(run.corpus), run.training
    adapted(locate(run.backbone))  # before anything is written
    read, aside = grouped_split(corpus, training.validation_share, training.seed)
    settings = {"backbone": asdict(run.backbone), "adaptation": asdict(training)}
    identity = {"corpus": corpus.hash, "versions": versions(), **settings}
    work = workplace(out)
    made = work / "backbone"
    with made_beside(out, made, identity, "unfinished adaptation", run.overwrite):
        shutil.rmtree(made, ignore_errors=True)  # of a run that was cut off at its very end
        sides = corpus.select(read), corpus.select(aside)
        manifest = adaptation.adapt(*sides, run.backbone, training, made, work / "checkpoints")
    return manifest


def train(run: TrainRun) -> Path:
    """A corpus to a tagger folder; a run that was cut off goes on from its last epoch. Returns the folder.

    Several processes of `accelerate launch` train one tagger together; the first one writes it.
    """
    from threers.calibration import from_evaluation
    from threers.card import model_card
    from threers.membership import membership
    from threers.ranks import is_first
    from threers.training import fit

    out = Path(run.tagger).expanduser()
    require_free(out, "tagger", run.overwrite)
    if out.exists() and not all((out / name).is_file() for name in ("decisions.json", "manifest.json")):
        raise OutputExistsError(f"tagger={out}: holds something else than a tagger; name another folder")
    corpus = Corpus.load(run.corpus)
    _require_learnable(corpus, run.backbone, run.training)
    calibration = agreement = None
    if run.calibration:
        calibration = from_evaluation(run.calibration, corpus, run.backbone, run.training)
        agreement = in_short(Path(run.calibration).expanduser(), corpus.codebook)
    work = workplace(out)
    made = work / "tagger"
    identity = _identity(corpus, backbone=asdict(run.backbone), training=asdict(run.training))
    owning = made_beside(out, made, identity, "unfinished training", run.overwrite)
    with owning if is_first() else nullcontext():
        tagger = fit(corpus, run.backbone, run.training, work=work / "checkpoints")
        if not is_first():
            return out
        tagger.manifest |= identity | {"name": out.name, "synthetic": bool(corpus.manifest.get("synthetic"))}
        tagger.manifest["membership"] = membership(tagger, corpus, run.training)
        if calibration is not None:
            tagger.calibration = calibration
            tagger.manifest["agreement"] = agreement
            tagger.manifest["calibration"] = {"groups": calibration.groups, "utterances": len(calibration.group)}
        tagger.save(made)
        card = model_card(out.name, tagger.manifest, tagger.codebook, corpus)
        (made / "README.md").write_text(card, encoding="utf-8")
    return out


def evaluate(run: EvaluateRun) -> pd.DataFrame:
    """Grouped cross-validation: out-of-fold scores, and their agreement with the coders and the floors.

    Writes folds/, scores/, agreement.csv, .json and .html under `out`; goes on where a run was cut off. Returns the
    agreement table.
    """
    from threers import crossvalidation as folds

    corpus, out = Corpus.load(run.corpus), Path(run.out).expanduser()
    _require_learnable(corpus, run.backbone, run.training)
    coded = coded_sessions(corpus)
    require_unread(corpus, coded, run.backbone)
    fold_of = grouped_folds(coded, run.folds, run.seed)
    settings = {"backbone": asdict(run.backbone), "training": asdict(run.training)}
    identity = _identity(corpus, folds=run.folds, seed=run.seed, **settings)
    name = f"{MODEL}{run.backbone.name}"
    with owned(out, identity, "out", run.overwrite):
        parts = out / "folds"
        of = folds.CrossValidation(coded, corpus, fold_of, run.backbone, run.training, parts, run.seed, run.workers)
        folds.run_folds(of)
        scores = folds.out_of_fold(coded, parts, run.folds)
        write_parquet(scores, out / "scores" / "utterances" / "part-00000.parquet")
        write_summaries(lambda: [scores], corpus.codebook, out / "scores")
        write_json(identity | {"name": run.backbone.name, "out_of_fold": True}, out / "scores" / "manifest.json")
        codings = scores_to_codings(scores, corpus.codebook, name, run.training.segment_minutes)
        curve = None
        if run.curve:
            curve = folds.curve(of, codings, run.resamples)
            write_csv(curve, out / "curve.csv")
        return compare(
            coded,
            [*(folds.fold_floors(parts, fold) for fold in range(run.folds)), codings],
            {name: scores.merge(folds.uncalibrated(parts, run.folds, corpus.codebook))},
            out,
            AgreeRun(
                corpus=run.corpus,
                out=run.out,
                resamples=run.resamples,
                seed=run.seed,
                segment_minutes=run.training.segment_minutes,
            ),
            folds=run.folds,
            curve=curve,
        )


def score(run: ScoreRun) -> dict[str, Any]:
    """Transcripts or a corpus to a scores folder. Returns its manifest."""
    from threers.engines import engine
    from threers.scoring import score_to_folder
    from threers.tagger import Tagger

    tagger = Tagger.load(run.tagger)
    limits = limits_for(run, tagger.calibration, tagger.codebook)
    source = Source(run.source, tagger.codebook, run.reader, run.roles, run.columns)
    group_of = source.groups()  # before anything is scored: it may be damaged
    out = Path(run.out).expanduser()
    with engine(run, tagger, source, out) as (hardware, way):
        # Whoever scores the shards, their bytes are the same: a run may go on with another engine or more workers.
        identity = {
            "tagger": tagger.hash,
            # Hashed, because a path may name a patient.
            "source": hashlib.sha256(str(source.path.absolute()).encode()).hexdigest(),
            "precision": hardware.precision,
            "threads": hardware.threads,
            "include_text": run.include_text,
            "segment_minutes": run.segment_minutes,
            "batch_tokens": run.engine.batch_tokens,
            "shard_sessions": run.engine.shard_sessions,
            **({"abstain": run.abstain} if run.abstain else {}),
        }
        with owned(out, identity, "out", run.overwrite):
            (out / "manifest.json").unlink(missing_ok=True)  # until this run is whole, the folder is not
            wanted: dict[str, Any] = {"include_text": run.include_text, "limits": limits}
            tally = score_to_folder(tagger, source, out, run.engine, hardware, way=way, **wanted)
            found = identity | {"hardware": asdict(hardware), **tally.to_dict()}
            return finish_scores(run, tagger, source, out, found, limits, group_of)


def agree(run: AgreeRun) -> tuple[pd.DataFrame, Codebook]:
    """Every coder of a corpus, and the models whose scores are given, against each other; or two coders' tables.

    Returns the table, and the codebook that it was made under.
    """
    corpus, out = _coded(run), Path(run.out).expanduser()
    machines, probabilities = [], {}
    for folder in run.scores:
        scores, manifest = read_scores(folder, corpus.codebook)
        known = scores["session_id"].isin(corpus.sessions["session_id"])
        if not known.any():
            raise InputError(f"scores {folder}: no session in common with corpus {run.corpus}; nothing can be compared")
        require_unseen(corpus, scores[known], manifest, str(folder))
        name = f"{MODEL}{manifest['name']}"
        if name in probabilities:
            raise InputError(f"scores {folder}: {name} stands twice; give one folder of each tagger")
        probabilities[name] = scores[known]
        machines.append(scores_to_codings(scores[known], corpus.codebook, name, run.segment_minutes))
    identity = {"corpus": corpus.hash, "scores": [table_hash(m.fillna("")) for m in machines]}
    with owned(out, identity, "out", run.overwrite):
        return compare(corpus, machines, probabilities, out, run), corpus.codebook


def export(run: ExportRun) -> tuple[list[Path], int]:
    """Tags of a scores folder, or the codings of a corpus, to files for coders' tools. Returns the files and how many
    codings they hold.
    """
    from threers.export import codings_to_write, held_by, to_documents, write_documents
    from threers.formats.known import writer

    to = Path(run.to).expanduser()
    form, corpus = writer(run.format, to), Corpus.load(run.corpus)
    corpus, codings = codings_to_write(corpus, run)
    codings = held_by(form, codings)
    documents = list(to_documents(corpus, codings, run.segment_minutes))
    files = write_documents(documents, form, to, corpus, run.originals, run.overwrite)
    return files, int(codings["code"].notna().sum())


def export_tables(run: ExportRun) -> list[Path]:
    """The tables of a scores folder to SPSS files, with what the corpus, if one is given, says of the sessions."""
    from threers.labelled import write_sav_files

    corpus, scores = Corpus.load(run.corpus) if run.corpus else None, Path(run.scores).expanduser()
    return write_sav_files(scores, Path(run.to).expanduser(), corpus, run.overwrite)


def sample(run: SampleRun) -> dict[str, Any]:
    """Sessions of a corpus for people to code: sampling.csv and a coding sheet each. Returns the manifest."""
    corpus, out = Corpus.load(run.corpus), Path(run.out).expanduser()
    sessions, doubt, tagger = uncoded_sessions(corpus), None, None
    if run.scores:
        scores, manifest = read_scores(run.scores, corpus.codebook)
        tagger = manifest.get("tagger")
        doubt = doubt_of_sessions(scores, corpus.codebook).dropna()
        sessions = sessions[sessions["session_id"].isin(doubt.index)]
    chosen = draw(sessions, run.n, run.how, run.seed, doubt)
    identity = {"corpus": corpus.hash, "tagger": tagger, "n": run.n, "how": run.how, "seed": run.seed}
    identity |= {"sessions": len(sessions), "sheets": run.sheets}
    with owned(out, identity, "out", run.overwrite):
        if not (out / "sampling.csv").is_file():  # else coders may have filled the sheets already
            shutil.rmtree(out / "sheets", ignore_errors=True)
            chosen.insert(0, "sheet", write_sheets(corpus, chosen, out / "sheets", run.sheets))
            write_csv(chosen, out / "sampling.csv")
        return identity


def report(run: ReportRun) -> int:
    """Scores, and what a corpus says of them, to a page per session and an index. Returns the number of sessions."""
    batch, out = Batch(run.scores, run.corpus, run.include_text), Path(run.out).expanduser()
    identity = {"source": batch.hash, **{key: asdict(run)[key] for key in REPORT_IDENTITY}}
    with owned(out, identity, "out", run.overwrite):
        return write_pages(batch, run, out)


def purge(run: PurgeRun) -> list[Found]:
    """What threers made at a place, and left unfinished beside it; with `confirm` it is gone afterwards."""
    found = find(Path(run.path).expanduser())
    if run.confirm:
        delete(found)
    return found


def _require_learnable(corpus: Corpus, backbone: Backbone, training: Training) -> None:
    """Find what would stop training before anything is written or trained."""
    from threers.backbones import adapted, locate
    from threers.targets import build_targets

    coded = coded_sessions(corpus)
    build_targets(coded.utterances, coded.codings, corpus.codebook, training.segment_minutes)
    adapted(locate(backbone))


def _coded(run: AgreeRun) -> Corpus:
    if run.a:
        return read_two_tables(run.a, run.b, run.codebook or None, run.columns, run.roles)
    return Corpus.load(run.corpus)


def _identity(corpus: Corpus, **settings: Any) -> dict[str, Any]:
    """All that a result depends on, for manifests and for knowing one's own unfinished run."""
    return {
        "corpus": corpus.hash,
        "codebook": corpus.codebook.name,
        "codebook_sha256": corpus.codebook.hash,
        "versions": versions(),
        **settings,
    }
