"""What somebody else put into a folder is data, or it is refused: no pickle and no Python file in it ever runs."""

import json
import pickle
import shutil

import pytest
import torch

from tests.conftest import forget_hashes, local_backbone, make_corpus
from threers import training as module
from threers.backbones import load_encoder, locate
from threers.codebook import Codebook
from threers.errors import InputError, SettingsError
from threers.settings import Training
from threers.shipped import read_yaml
from threers.tagger import Tagger
from threers.training import fit

#: What transformers, PyTorch and accelerate call their pickles.
PICKLES = (
    "pytorch_model.bin",
    "training_args.bin",
    "optimizer.pt",
    "optimizer.bin",
    "scheduler.pt",
    "scaler.pt",
    "rng_state.pth",
    "adapter_model.bin",
)
#: Those that a training which goes on reads.
READ = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def sprung(tmp_path):
    """The file that is there if anything was run."""
    path = tmp_path / "sprung"
    yield path
    assert not path.exists()


def set_traps(folder, sprung, names=PICKLES):
    for number, name in enumerate(names):
        if number % 2:  # PyTorch reads plain pickles, too
            (folder / name).write_bytes(pickle.dumps({"state": Trap(sprung)}))
        else:
            torch.save({"state": Trap(sprung)}, folder / name)


def set_code(folder, sprung, **config):
    """Python files beside the weights, and a config that sends there."""
    (folder / "hostile.py").write_text(f"open({str(sprung)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    for name, classes in (
        ("config.json", {"AutoConfig": "hostile.Config", "AutoModel": "hostile.Model"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["hostile.Model", "hostile.Model"]}),
    ):
        found = json.loads((folder / name).read_text()) | {"auto_map": classes}
        (folder / name).write_text(json.dumps(found | (config if name == "config.json" else {})))
    forget_hashes(folder)


@pytest.mark.parametrize("name", PICKLES[:2])
def test_the_trap_works(name, tmp_path, monkeypatch):
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)  # the command line sets it
    set_traps(tmp_path, tmp_path / "sprung", [name])
    torch.load(tmp_path / name, weights_only=False)
    assert (tmp_path / "sprung").exists()


@pytest.fixture
def backbone(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "backbone")


@pytest.fixture
def tagger(tiny_tagger, tmp_path):
    return shutil.copytree(tiny_tagger, tmp_path / "tagger")


def test_pickles_beside_the_weights_are_not_looked_at(backbone, tagger, sprung):
    for folder in (backbone, tagger):
        set_traps(folder, sprung)
    load_encoder(locate(local_backbone(backbone)))
    Tagger.load(tagger)


def test_pickles_in_place_of_the_weights_are_refused(backbone, tagger, sprung):
    for folder in (backbone, tagger):
        set_traps(folder, sprung)
        (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        locate(local_backbone(backbone))
    with pytest.raises(InputError, match="transformers cannot load it"):
        load_encoder(backbone)
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        Tagger.load(tagger)


def test_code_that_a_config_names_is_not_run(backbone, tagger, sprung):
    for folder in (backbone, tagger):
        set_code(folder, sprung)
    load_encoder(backbone)
    Tagger.load(tagger)


def test_a_model_that_only_its_own_code_knows_is_refused(backbone, tagger, sprung):
    for folder in (backbone, tagger):
        set_code(folder, sprung, model_type="hostile")
    with pytest.raises(InputError, match="transformers cannot load it"):
        load_encoder(backbone)
    with pytest.raises(InputError, match=r"does not fit config\.json"):
        Tagger.load(tagger)


@pytest.fixture(scope="module")
def cut_off(tiny_folder, tmp_path_factory):
    """What a training leaves that was cut off after its first epoch, and what would go on with it."""
    given = make_corpus(4), local_backbone(tiny_folder), quick()
    work = tmp_path_factory.mktemp("cut") / "work"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.EpochEnd, "_write", interrupted)
        fit(*given, work=work)
    return work, given


def quick():
    return Training(
        epochs=2, batch_tokens=4096, pretrained_share=0.0, validation_share=0.3, device="cpu", precision="float32"
    )


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", READ)
def test_a_training_does_not_go_on_with_pickles_of_somebody_else(name, cut_off, tmp_path, sprung):
    work, given = cut_off
    work = shutil.copytree(work, tmp_path / "work")
    (checkpoint,) = work.glob("checkpoint-*")
    assert all((checkpoint / read).is_file() for read in READ), "else this tests nothing"
    set_traps(checkpoint, sprung, [name])
    with pytest.raises(InputError, match="something else than the numbers"):
        fit(*given, work=work)


def test_a_training_goes_on_past_pickles_that_it_does_not_need(cut_off, tmp_path, sprung):
    work, given = cut_off
    work = shutil.copytree(work, tmp_path / "work")
    (checkpoint,) = work.glob("checkpoint-*")
    # A scaler, which no training here has, would stop it before that is read.
    set_traps(checkpoint, sprung, [name for name in PICKLES if name not in (*READ, "scaler.pt")])
    assert len(fit(*given, work=work).manifest["epochs"]) == 2


def test_a_training_does_not_go_on_with_pickled_weights(cut_off, tmp_path):
    work = shutil.copytree(cut_off[0], tmp_path / "work")
    (checkpoint,) = work.glob("checkpoint-*")
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    assert module._last_checkpoint(work) is None
    assert not checkpoint.exists(), "it is begun anew"


@pytest.mark.parametrize("read", [lambda path: Codebook.load(path), lambda path: read_yaml("reader", path)])
def test_yaml_that_asks_for_python_is_refused(read, tmp_path, sprung):
    path = tmp_path / "hostile.yaml"
    path.write_text(f"name: !!python/object/apply:builtins.open [{str(sprung)!r}, w]\n")
    with pytest.raises(SettingsError, match="not valid YAML"):
        read(path)
