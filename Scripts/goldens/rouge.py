#!/usr/bin/env python3
"""Writes Tests/EvaluationTests/Goldens/rouge.json: stems and ROUGE scores by rouge-score 0.1.2.

    python3 -m venv ENV && ENV/bin/pip install rouge-score==0.1.2
    ENV/bin/python Scripts/goldens/rouge.py
"""
import json
import pathlib
import random

import nltk
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer

SEED = 20240807
ROOTS = """relate condition valence hesitate digit conform radical differ vile analog vietnam predicate operate feudal decisive
hope callous formal sensitive sensible triplicate form electric good revive allow infer airline gyroscope adjust defend irritate
replace depend adopt homologous commune activate angular effect bowdler probate rate cease control roll agree plaster motor sing
conflate trouble size hop tan fall hiss fizz fail file happy sky die lie tie news inning outing canning proceed exceed succeed
enjoy spy fly try theo archaeo geolog philo biolog play stay yyy syzygy toy ox be a1b2 x9 2000 3rd abili argu caress pony cat""".split()
SUFFIXES = """ s es ies ed ied eed ing y ly ily ness fulness ousness iveness ational tional enci anci izer ization ation ator alism
aliti iviti biliti alli entli eli ousli bli abli fulli logi logy icate ative alize iciti ical ful al ance ence er ic able ible ant
ement ment ent ion sion tion ou ism ate iti ous ive ize e ll yed ying yer""".split()
UNICODE = ["", " ", "...!?", "\u212a", "\u0130stanbul", "\u00e9t\u00e9", "na\u00efve", "\U0001f642", "\u4f60\u597d", "\u00df",
           "STRASSE", "\u017ft", "\ufb01ne", "\uff21\uff22", "don't", "re-entry", "\u03a3\u0391\u03a3", "a\u0301b", "\u00a0", "1,250.50",
           "\u0661\u0662", "\u2028", "I\u0307x", "\u01c5", "\u212bngstrom", "mid\u00b7dot", "e\u0301tude"]


def texts(count, seed=SEED):
    """Pairs of target and prediction: words with suffixes, shared in part; odd characters in one of three."""
    stream = random.Random(seed)
    words = [root + suffix for root in ROOTS for suffix in SUFFIXES]

    def word():
        text = stream.choice(UNICODE) if stream.random() < 0.12 else stream.choice(words)
        return stream.choice([str, str, str, str.upper, str.capitalize])(text)

    def join(parts):
        return "".join(part + stream.choice([" ", " ", " ", ", ", ". ", "\n", "-", "_", "\t", "\u2019"]) for part in parts)

    edge = [("", ""), ("", "word"), ("word", ""), ("...", "!?"), ("...", "word"), (" \n", "\u4f60\u597d"), ("\u212aelvin", "kelvin"),
            ("\u0130stanbul", "istanbul"), ("\u0130stanbul", "i stanbul"), ("the the the", "the"), ("y" * 50, "y" * 51)]
    while len(edge) < count:
        target = [word() for _ in range(stream.randrange(0, 40))]
        kept = [part for part in target if stream.random() < 0.6] + [word() for _ in range(stream.randrange(0, 12))]
        if stream.random() < 0.5:
            stream.shuffle(kept)
        edge.append((join(target), join(kept)))
    return edge[:count]


def main():
    stemmer = PorterStemmer()
    stream = random.Random(SEED)
    vocabulary = sorted(set(stream.sample([root + suffix for root in ROOTS for suffix in SUFFIXES], 3000) + ROOTS))
    scorer = rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    pairs = []
    for target, prediction in texts(200):
        scores = scorer.score(target, prediction)
        pairs.append([target, prediction, list(scores["rouge1"]), list(scores["rougeL"])])
    folder = pathlib.Path(__file__).resolve().parents[2] / "Tests/EvaluationTests/Goldens"
    folder.mkdir(parents=True, exist_ok=True)
    stems = " ".join(f"{word}:{stemmer.stem(word)}" for word in vocabulary)
    lines = ",\n".join(json.dumps(pair, ensure_ascii=True, separators=(",", ":")) for pair in pairs)
    text = f'{{"nltk":"{nltk.__version__}","stems":{json.dumps(stems)},"pairs":[\n{lines}\n]}}\n'
    (folder / "rouge.json").write_text(text)


if __name__ == "__main__":
    main()
