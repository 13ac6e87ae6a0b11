"""Batches side by side: the same vectors however many threads, and PyTorch's own number of them afterwards."""

import pytest
import torch

from tests.conftest import local_backbone, make_corpus
from threers.chunks import tokenise
from threers.encode import encode
from threers.hardware import Hardware
from threers.tagger import Tagger

CPU = Hardware("cpu", "float32", "")


@pytest.fixture
def threads():
    """Sets PyTorch's number of threads, and puts it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_vectors_do_not_depend_on_the_number_of_threads(tiny_folder, threads):
    corpus = make_corpus(6)
    tagger = Tagger.start(tiny_folder, local_backbone(tiny_folder), corpus.codebook, 0.1)
    tagger.model.eval()
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    reading = tagger.reading(CPU, 128)
    chunks = [c for number, session in enumerate(sessions) for c in reading.chunker.for_scoring(session, number)]
    found = []
    for count in (1, 3):
        threads(count)
        found.append(encode(tagger.model.pool, chunks, sessions, reading).vectors)
        assert torch.get_num_threads() == count
    assert len(found[0]) == len(corpus.utterances)
    assert torch.equal(*found)


def test_the_number_of_threads_is_put_back_after_a_fault(tiny_folder, threads):
    corpus = make_corpus(2)
    tagger = Tagger.start(tiny_folder, local_backbone(tiny_folder), corpus.codebook, 0.1)
    sessions = tokenise(corpus.utterances, tagger.tokenizer)
    reading = tagger.reading(CPU)
    chunks = [c for number, session in enumerate(sessions) for c in reading.chunker.for_scoring(session, number)]

    def fails(**_):
        raise RuntimeError("out of memory")

    threads(2)
    with pytest.raises(RuntimeError, match="out of memory"):
        encode(fails, chunks, sessions, reading)
    assert torch.get_num_threads() == 2
