"""Signatures against the sets themselves, and against datasketch."""

import random

import numpy as np
import pytest
from datasketch import MinHash

from penjing.data.doctor.minhash import SIMILAR, find_alike, similarity, thin_out
from penjing.data.doctor.passages import EVERYTHING
from penjing.data.doctor.scan import Scanner
from penjing.data.doctor.shingles import BINS, LEAST_SHINGLES, SHINGLE

WORDS = [f"{a}{b}" for a in "bcdfglmnprst" for b in ("a", "e", "i", "o", "un", "ar", "et", "ol")]


def text_of(rng: random.Random, n: int) -> list[str]:
    return [rng.choice(WORDS) for _ in range(n)]


def changed(rng: random.Random, words: list[str], n: int) -> list[str]:
    words = list(words)
    for _ in range(n):
        words[rng.randrange(len(words))] = rng.choice(WORDS).upper() + "x"
    return words


def shingles(words: list[str]) -> set[tuple[str, ...]]:
    lower = [word.lower() for word in words]
    return {tuple(lower[n : n + SHINGLE]) for n in range(len(lower) - SHINGLE + 1)}


def jaccard(left: list[str], right: list[str]) -> float:
    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def sign(texts: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    raws = [" ".join(words).encode() for words in texts]
    found = Scanner().scan(b"".join(raws), np.cumsum([len(raw) for raw in raws]), EVERYTHING)
    return found.signatures, found.shingles >= LEAST_SHINGLES


def test_similarity_is_estimated_as_well_as_theory_allows() -> None:
    rng = random.Random(0)
    errors = []
    for n_changes in (0, 2, 5, 10, 20, 40):
        for _ in range(12):
            words = text_of(rng, 400)
            other = changed(rng, words, n_changes)
            signatures, _ = sign([words, other])
            exact = jaccard(words, other)
            errors.append(float(similarity(signatures[:1], signatures[1:])[0]) - exact)
    deviation = (0.25 / BINS) ** 0.5  # of a fair coin; the largest there is
    assert abs(np.mean(errors)) < deviation / 2
    assert np.sqrt(np.mean(np.square(errors))) < 1.1 * deviation
    assert max(map(abs, errors)) < 4 * deviation


def test_it_agrees_with_datasketch() -> None:
    rng = random.Random(1)
    for n_changes in (1, 6, 15, 60):
        words = text_of(rng, 300)
        other = changed(rng, words, n_changes)
        signatures, _ = sign([words, other])
        sketches = []
        for text in (words, other):
            sketch = MinHash(num_perm=BINS, seed=1)
            sketch.update_batch([" ".join(shingle).encode() for shingle in shingles(text)])
            sketches.append(sketch)
        ours = float(similarity(signatures[:1], signatures[1:])[0])
        assert ours == pytest.approx(sketches[0].jaccard(sketches[1]), abs=0.17)


def test_short_documents_are_estimated_without_bias() -> None:
    rng = random.Random(2)
    errors = []
    for _ in range(200):
        words = text_of(rng, LEAST_SHINGLES + SHINGLE + 5)
        other = changed(rng, words, 1)
        signatures, some = sign([words, other])
        assert some.all()
        errors.append(float(similarity(signatures[:1], signatures[1:])[0]) - jaccard(words, other))
    assert abs(np.mean(errors)) < 0.03


def test_near_duplicates_are_found_among_others() -> None:
    rng = random.Random(3)
    texts = [text_of(rng, 200) for _ in range(300)]
    pairs: list[tuple[int, float]] = []
    for n in range(60):
        texts.append(changed(rng, texts[n], 2))
        pairs.append((n, jaccard(texts[n], texts[-1])))
    signatures, some = sign(texts)
    found = find_alike(signatures, some)
    assert (found.leader[:300] == -1).all()
    alike = [(n, leader) for n, (leader, exact) in enumerate(pairs) if exact > SIMILAR + 0.07]
    assert len(alike) > 40
    right = sum(found.leader[300 + n] == leader for n, leader in alike)
    assert right >= 0.97 * len(alike)
    below = [n for n, (_, exact) in enumerate(pairs) if exact < SIMILAR - 0.12]
    assert not [n for n in below if found.leader[300 + n] >= 0]


def test_of_many_copies_the_first_stands() -> None:
    rng = random.Random(4)
    words = text_of(rng, 300)
    signatures, some = sign([text_of(rng, 300), *(changed(rng, words, 1) for _ in range(20))])
    found = find_alike(signatures, some)
    assert found.leader[0] == -1 and found.leader[1] == -1
    assert (found.leader[2:] >= 1).all() and (found.leader < np.arange(21)).all()


def test_of_a_chain_of_versions_those_stay_that_are_new() -> None:
    """No two that stay are alike, and each that goes is like one that stays."""
    rng = random.Random(6)
    words = text_of(rng, 300)
    chain = [words]
    for _ in range(30):
        chain.append(words := changed(rng, words, 5))
    signatures, some = sign([*chain, text_of(rng, 300)])
    found = thin_out(signatures, some)
    stays = found.leader < 0
    assert 4 < stays.sum() < 28 and stays[0] and stays[31]
    assert stays[found.leader[~stays]].all()
    gone = np.flatnonzero(~stays)
    assert (similarity(signatures[gone], signatures[found.leader[gone]]) >= SIMILAR).all()
    assert (find_alike(signatures, some & stays).leader < 0).all()


def test_only_leaders_are_compared_with() -> None:
    rng = random.Random(7)
    words = text_of(rng, 300)
    texts = [words, *(changed(rng, words, n) for n in (3, 1, 1))]
    signatures, some = sign([text_of(rng, 300), *texts])
    leads = np.array([True, True, False, False, False])
    assert find_alike(signatures, some, leaders=leads).leader.tolist() == [-1, -1, 1, 1, 1]


def test_who_is_not_asked_takes_no_part() -> None:
    rng = random.Random(5)
    words = text_of(rng, 100)
    signatures, some = sign([words, words, words])
    some[1] = False
    assert find_alike(signatures, some).leader.tolist() == [-1, -1, 0]
    nobody = find_alike(signatures, np.zeros(3, dtype=bool))
    assert (nobody.leader == -1).all()
