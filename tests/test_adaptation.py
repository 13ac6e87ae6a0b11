"""A backbone reads transcripts before it learns codes: what is masked, what is learnt, and whom it must never read."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.conftest import local_backbone, make_backbone, make_corpus
from threers import adaptation, comparison, masking, runs
from threers.adaptation import adapt
from threers.backbones import adapted, load_encoder, load_masked, load_tokenizer
from threers.corpus import session_hashes
from threers.errors import InputError, LeakError, OutputExistsError
from threers.jobs import AdaptRun, AgreeRun, EvaluateRun, PurgeRun, ScoreRun, TrainRun
from threers.masking import NOT_MASKED, MaskedText, masked_loss
from threers.settings import Engine, Training
from threers.stored import read_parquet
from threers.training import fit

CPU = {"device": "cpu", "precision": "float32"}
QUICK = Training(epochs=1, batch_tokens=256, validation_share=0.3, lexical_share=0, pretrained_share=0, **CPU)


@pytest.fixture(scope="module")
def half_coded():
    """Seven groups with a coded and an uncoded session each, and one, g7, of which nothing is coded."""
    corpus = make_corpus(8)
    coded = [f"s{number:03}" for number in range(0, 14, 2)]
    corpus.codings = corpus.codings[corpus.codings["session_id"].isin(coded)].reset_index(drop=True)
    return corpus


@pytest.fixture(scope="module")
def corpus_folder(half_coded, tmp_path_factory):
    return half_coded.save(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture(scope="module")
def of_others(tiny_folder, tmp_path_factory):
    """A backbone adapted to g4 to g6 of the corpus, and to nobody else's sessions."""
    return adapt_to(tiny_folder, tmp_path_factory.mktemp("adapted"), ("g4", "g5", "g6"))


def adapt_to(folder, out, groups, epochs=1, **settings):
    corpus = make_corpus(8)
    ids, group = corpus.sessions["session_id"], corpus.sessions["group_id"]
    sides = corpus.select(ids[group.isin(groups)]), corpus.select(ids[group == "g7"])
    training = Training(adapt_epochs=epochs, batch_tokens=256, **CPU)
    adapt(*sides, local_backbone(folder, **settings), training, out / "made", out / "work")
    return out / "made"


def hashes(corpus, *sessions):
    of = session_hashes(corpus.utterances)
    return {of[session] for session in sessions}


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_a_backbone_reads_better_what_others_said_in_the_same_lab(kind, tmp_path):
    made = adapt_to(make_backbone(tmp_path / "plain", kind), tmp_path, ("g0", "g1", "g2", "g3"), epochs=3)
    manifest = adapted(made)
    assert manifest["new_head"], "the tiny backbone has none"
    assert len(manifest["loss"]) == 4, "before, and after each epoch"
    assert manifest["loss"][-1] < manifest["loss"][0] - 0.02
    assert manifest["sessions"] == {"read": 8, "kept_aside": 2}
    assert not load_masked(made)[2], "adapted again it goes on with the head that it has"
    before, after = (load_encoder(folder)[0].state_dict() for folder in (tmp_path / "plain", made))
    moved = [name for name in before if "pooler" not in name and not torch.equal(before[name], after[name])]
    assert moved


def test_about_fifteen_in_a_hundred_tokens_are_masked_and_no_role_marker(tiny_folder):
    tokenizer = load_tokenizer(tiny_folder)
    text = MaskedText(make_corpus(12), tokenizer, local_backbone(tiny_folder))
    chunks = [c for n, session in enumerate(text.sessions) for c in text.chunker.for_scoring(session, n)]
    torch.manual_seed(0)
    batch = text.mask(chunks)
    guessed = batch["labels"] != NOT_MASKED
    spoken = sum(len(chunk.tokens) - 2 - 2 * len(chunk.pieces) for chunk in chunks)
    assert abs(int(guessed.sum()) / spoken - 0.15) < 0.02
    hidden = batch["input_ids"][guessed] == tokenizer.mask_token_id
    assert abs(float(hidden.float().mean()) - 0.8) < 0.05
    fixed = tokenizer.convert_tokens_to_ids(["client", "therapist", ":", "[CLS]", "[SEP]", "[PAD]"])
    assert not set(batch["labels"][guessed].tolist()) & set(fixed)
    assert (batch["input_ids"] == tokenizer.mask_token_id).sum() == hidden.sum(), "nothing else is hidden"


def test_the_loss_is_that_of_the_whole_head_on_the_masked_tokens(tiny_folder):
    torch.manual_seed(0)
    model, tokenizer, _ = load_masked(tiny_folder)
    model.eval()
    text = MaskedText(make_corpus(2), tokenizer, local_backbone(tiny_folder))
    batch = text.mask(text.chunker.for_scoring(text.sessions[0]))
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    whole = cross_entropy(logits.transpose(1, 2), batch["labels"], ignore_index=NOT_MASKED)
    assert torch.allclose(masked_loss(model, **batch), whole, atol=1e-6)
    nothing = batch | {"labels": torch.full_like(batch["labels"], NOT_MASKED)}
    assert masked_loss(model, **nothing).item() == 0


def test_a_new_head_learns_alone_first(tiny_folder, tmp_path, monkeypatch):
    plain, seen, real = load_encoder(tiny_folder)[0].state_dict(), [], masking.HeldAside.loss

    def look(self, model):
        seen.append({name: tensor.clone() for name, tensor in model.base_model.state_dict().items()})
        return real(self, model)

    monkeypatch.setattr(masking.HeldAside, "loss", look)
    adapt_to(tiny_folder, tmp_path, ("g0", "g1"), epochs=1)
    before, after = seen
    assert all(torch.equal(tensor, plain[name]) for name, tensor in before.items())
    assert not all(torch.equal(tensor, plain[name]) for name, tensor in after.items())


def test_frozen_layers_stay_as_they_were_and_layers_left_out_are_gone(tiny_folder, tmp_path):
    made = adapt_to(tiny_folder, tmp_path, ("g0", "g1"), frozen_layers=1)
    plain, after = (load_encoder(folder)[0].state_dict() for folder in (tiny_folder, made))
    moved = {name for name in after if "pooler" not in name and not torch.equal(plain[name], after[name])}
    assert moved
    assert all(name.startswith("encoder.layer.1.") for name in moved)
    lower = adapt_to(tiny_folder, tmp_path / "lower", ("g0", "g1"), layers=1)
    assert load_encoder(lower)[0].config.num_hidden_layers == 1


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_adaptation_that_was_cut_off_goes_on_to_the_same_end(at, tiny_folder, tmp_path, monkeypatch):
    undisturbed = adapt_to(tiny_folder, tmp_path / "whole", ("g0", "g1"), epochs=2)
    real, calls = adaptation._Epochs._measure, []

    def cut_off(self, *given):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        real(self, *given)

    monkeypatch.setattr(adaptation._Epochs, "_measure", cut_off)
    with pytest.raises(KeyboardInterrupt):
        adapt_to(tiny_folder, tmp_path / "cut", ("g0", "g1"), epochs=2)
    assert not (tmp_path / "cut" / "made").exists()
    resumed = adapt_to(tiny_folder, tmp_path / "cut", ("g0", "g1"), epochs=2)
    assert adapted(resumed)["loss"] == adapted(undisturbed)["loss"]
    one, two = (load_encoder(folder)[0].state_dict() for folder in (undisturbed, resumed))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one if "pooler" not in name)


def test_a_loss_that_is_no_number_stops_it(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(masking, "cross_entropy", lambda *_, **__: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(InputError, match="the adaptation diverged"):
        adapt_to(tiny_folder, tmp_path, ("g0", "g1"))
    assert not (tmp_path / "made").exists()


def test_an_adaptation_that_does_harm_is_said(tiny_folder, tmp_path, caplog):
    made = adapt_to(tiny_folder, tmp_path, ("g0", "g1"), epochs=2, learning_rate=0.9)
    loss = adapted(made)["loss"]
    assert loss[-1] > loss[0]
    assert "not lower than before" in caplog.text
    assert "backbone.learning_rate=0.45" in caplog.text


def test_a_backbone_that_cannot_be_adapted_is_named(tiny_folder, tmp_path):
    with pytest.raises(InputError, match="cannot train gpt2 on masked tokens"):
        adapt_to(make_backbone(tmp_path / "gpt2", "gpt2"), tmp_path, ("g0",))
    without = shutil.copytree(tiny_folder, tmp_path / "without")
    settings = json.loads((without / "tokenizer_config.json").read_text())
    (without / "tokenizer_config.json").write_text(json.dumps(settings | {"mask_token": None}))
    with pytest.raises(InputError, match="has no token for what is masked"):
        adapt_to(without, tmp_path, ("g0",))


def test_adapters_do_not_adapt(tiny_folder, tmp_path):
    with pytest.raises(InputError, match=r"backbone\.lora_rank=4: an adaptation trains the weights themselves"):
        adapt_to(tiny_folder, tmp_path, ("g0",), lora_rank=4)


def test_what_it_has_read_cannot_be_lost(of_others, tiny_folder, tmp_path):
    assert adapted(tiny_folder) is None
    copy = shutil.copytree(of_others, tmp_path / "copy")
    again = adapt_to(copy, tmp_path, ("g0", "g1"))
    assert set(adapted(copy)["session_hashes"]) < set(adapted(again)["session_hashes"])
    shutil.copy(again / "model.safetensors", copy)
    with pytest.raises(InputError, match=r"is not that of the model\.safetensors beside it"):
        adapted(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(InputError, match="which sessions this adapted backbone has read"):
        adapted(copy)


def test_training_adapts_to_uncoded_sessions_but_not_to_those_of_groups_kept_aside(half_coded, tiny_folder, tmp_path):
    tagger = fit(half_coded, local_backbone(tiny_folder), replace(QUICK, adapt_epochs=1), work=tmp_path / "work")
    learnt, group = set(tagger.manifest["learnt_from"]), half_coded.group_of
    coded = set(half_coded.codings["session_id"])
    read = {session for session, own in session_hashes(half_coded.utterances).items() if own in learnt}
    assert coded < read
    uncoded = {group[session] for session in read - coded}
    assert "g7" in uncoded, "a patient of whom nothing is coded"
    assert 8 - len(uncoded) == tagger.manifest["sessions"]["kept_aside"], "a coded session each"
    assert tagger.manifest["adaptation"]["known_aside"] == 0
    assert len(tagger.manifest["adaptation"]["loss"]) == 2


def test_a_tagger_has_learnt_from_what_its_backbone_has_read(half_coded, of_others, caplog):
    tagger = fit(half_coded, local_backbone(of_others), QUICK)
    assert set(adapted(of_others)["session_hashes"]) < set(tagger.manifest["learnt_from"])
    known = tagger.manifest["adaptation"]["known_aside"]
    assert bool(known) == ("the backbone was adapted to" in caplog.text)


def test_several_processes_do_not_adapt_together(half_coded, tiny_folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="several processes cannot adapt a backbone together"):
        fit(half_coded, local_backbone(tiny_folder), replace(QUICK, adapt_epochs=1))


def test_no_fold_adapts_to_a_patient_whom_it_tests(half_coded, corpus_folder, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "compare", lambda *_, **__: None)  # how well it agrees takes long
    out, training = tmp_path / "evaluation", replace(QUICK, adapt_epochs=1)
    given = {"corpus": str(corpus_folder), "backbone": local_backbone(tiny_folder), "training": training}
    runs.evaluate(EvaluateRun(out=str(out), folds=2, **given))
    of, group = session_hashes(half_coded.utterances), half_coded.group_of
    scores = read_parquet(out / "scores" / "utterances" / "part-00000.parquet", "")
    assert set(scores["session_id"]) == set(half_coded.codings["session_id"])
    for fold in range(2):
        tested = set(read_parquet(out / "folds" / f"scores-{fold}.parquet", "")["session_id"])
        learnt = set(json.loads((out / "folds" / f"tagger-{fold}.json").read_text())["learnt_from"])
        read = {session for session, own in of.items() if own in learnt}
        assert not {group[session] for session in read} & {group[session] for session in tested}
        assert hashes(half_coded, "s014", "s015") <= learnt, "of g7 nothing is coded, so nothing is tested"


def test_a_backbone_that_has_read_a_patient_is_not_tested_on_that_patient(
    half_coded, corpus_folder, of_others, tmp_path
):
    given = {"corpus": str(corpus_folder), "training": QUICK, "folds": 2}
    with pytest.raises(LeakError, match=r"adapted to sessions of groups to which 3 of 7 .* training\.adapt_epochs=1"):
        runs.evaluate(EvaluateRun(out=str(tmp_path / "e"), backbone=local_backbone(of_others), **given))
    assert not (tmp_path / "e").exists()
    # Another session of the same patient is enough; a patient whom nobody coded is not tested.
    coded = half_coded.select(sorted(set(half_coded.codings["session_id"])))
    manifest = json.loads((of_others / "manifest.json").read_text())
    copy = shutil.copytree(of_others, tmp_path / "copy")
    for sessions, leak in ((("s009",), True), (("s014", "s015"), False)):
        read = {"session_hashes": sorted(hashes(half_coded, *sessions))}
        (copy / "manifest.json").write_text(json.dumps(manifest | read))
        if leak:
            with pytest.raises(LeakError, match="to which 1 of 7"):
                comparison.require_unread(half_coded, coded, local_backbone(copy))
        else:
            comparison.require_unread(half_coded, coded, local_backbone(copy))


def test_agree_refuses_patients_whom_the_backbone_has_read(half_coded, corpus_folder, tiny_folder, tmp_path):
    """g6 is read, and never learnt from with codes; the session that is scored is not the one that was read."""
    read, aside, training = half_coded.select(["s013"]), half_coded.select(["s014"]), replace(QUICK, adapt_epochs=1)
    adapt(read, aside, local_backbone(tiny_folder), training, tmp_path / "b", tmp_path / "work")
    given, sessions = {"corpus": str(corpus_folder)}, half_coded.sessions
    half_coded.select(sessions["session_id"][sessions["group_id"].isin(["g0", "g1", "g2", "g3"])]).save(tmp_path / "c")
    backbone = local_backbone(tmp_path / "b")
    runs.train(TrainRun(corpus=str(tmp_path / "c"), tagger=str(tmp_path / "t"), backbone=backbone, training=QUICK))
    assert "adapted to 1 sessions" in (tmp_path / "t" / "README.md").read_text()
    half_coded.select(["s012"]).save(tmp_path / "new")
    engine = {"tagger": str(tmp_path / "t"), "engine": Engine(), **CPU}
    runs.score(ScoreRun(source=str(tmp_path / "new"), out=str(tmp_path / "s"), **engine))
    with pytest.raises(LeakError, match="1 of 1 sessions belong to groups that the tagger learnt from"):
        runs.agree(AgreeRun(scores=(str(tmp_path / "s"),), out=str(tmp_path / "a"), resamples=100, **given))


def test_the_verb_writes_over_nothing_else_and_purge_knows_what_it_makes(
    corpus_folder, tiny_folder, tiny_tagger, tmp_path, monkeypatch
):
    out = tmp_path / "b"
    run = AdaptRun(corpus=str(corpus_folder), out=str(out), backbone=local_backbone(tiny_folder), epochs=1, **CPU)
    manifest = runs.adapt(run)
    assert {path.name for path in tmp_path.iterdir()} == {"b"}
    assert out.stat().st_mode & 0o077 == 0
    assert manifest["use"].split()[:2] == ["backbone=local", "backbone.path=FOLDER"]
    assert "backbone.learning_rate=0.001" in manifest["use"].split()
    with pytest.raises(OutputExistsError, match="exists already"):
        runs.adapt(run)
    shutil.copytree(tiny_tagger, tmp_path / "tagger")
    with pytest.raises(OutputExistsError, match="something else than an adapted backbone"):
        runs.adapt(replace(run, out=str(tmp_path / "tagger"), overwrite=True))
    assert runs.adapt(replace(run, overwrite=True))["loss"] == manifest["loss"]

    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(adaptation, "_save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        runs.adapt(replace(run, overwrite=True))
    found = runs.purge(PurgeRun(path=str(out), confirm=True))
    assert [one.kind for one in found] == ["adapted backbone", "unfinished adaptation"]
    assert {path.name for path in tmp_path.iterdir()} == {"tagger"}


@pytest.mark.parametrize("verb", ["adapt", "train"])
def test_an_adapted_backbone_without_its_manifest_stops_before_anything_is_written(
    verb, of_others, corpus_folder, tmp_path
):
    shutil.copytree(of_others, tmp_path / "b")
    (tmp_path / "b" / "manifest.json").unlink()
    (tmp_path / "b" / "manifest.json").symlink_to("manifest.json")
    given = {"corpus": str(corpus_folder), "backbone": local_backbone(tmp_path / "b")}
    with pytest.raises(OSError, match="manifest"):
        if verb == "adapt":
            runs.adapt(AdaptRun(out=str(tmp_path / "out"), **given, **CPU))
        else:
            runs.train(TrainRun(tagger=str(tmp_path / "out"), training=QUICK, **given))
    assert {path.name for path in tmp_path.iterdir()} == {"b"}


def test_a_corpus_that_nobody_coded_can_be_read(half_coded, tiny_folder, tmp_path):
    uncoded = half_coded.select(["s001", "s003", "s014", "s015"])
    assert uncoded.codings.empty
    folder = uncoded.save(tmp_path / "corpus")
    run = AdaptRun(corpus=str(folder), out=str(tmp_path / "b"), backbone=local_backbone(tiny_folder), epochs=1, **CPU)
    assert sum(runs.adapt(run)["sessions"].values()) == 4
