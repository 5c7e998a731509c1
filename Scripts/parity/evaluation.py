#!/usr/bin/env python3
"""Compares `lota eval` with rouge-score and with the rules of docs/evaluation.md written a second time, in Python.

    python3 -m venv ENV && ENV/bin/pip install rouge-score==0.1.2
    ENV/bin/python Scripts/parity/evaluation.py --lota ./lota [--pairs 5000] [--answers 2000]

1. ROUGE-1 and ROUGE-L with stemming of --pairs generated pairs: Unicode, empty and punctuation-only text among them; precision,
   recall and F1 may differ by 1e-9.
2. Numbers (gsm8k), final answers (mathinstruct), choices (boolq, arc_easy), SQL and refusals of --answers generated answers: what
   was extracted, and whether it counts, must be equal.
"""
import argparse
import decimal
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from rouge_score import rouge_scorer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Scripts/goldens"))
from rouge import texts  # noqa: E402

NUMBER = re.compile(
    r"(?P<sign>(?<![A-Za-z0-9)\]%])[-\u2212])?\$?"
    r"(?P<value>(?<![0-9])[0-9]{1,3}(?:,[0-9]{3}(?![0-9]))+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)")
CONTEXT = decimal.Context(prec=200)


def numbers(text):
    found = []
    for match in NUMBER.finditer(text):
        value = CONTEXT.create_decimal(match["value"].replace(",", ""))
        value = value.copy_negate() if match["sign"] else value
        plain = format(value, "f")
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        found.append("0" if value == 0 else plain)
    return found


def gsm8k(text):
    head, marker, tail = text.partition("####")
    after = numbers(tail) if marker else []
    return after[0] if after else (numbers(text) or [None])[-1]


def lower(text):
    return re.sub("[A-Z]", lambda match: match[0].lower(), text)


def mathinstruct(text):
    at = lower(text).rfind("the answer is")
    if at < 0:
        return (numbers(text) or [None])[-1]
    whole = text[at + len("the answer is"):].split("\n")[0].strip(" \t\n\r\v\f")
    line = whole.lstrip(": $(")
    if re.match(r"[A-J](?:[).,:]|$)", line):
        return line[0]
    found = numbers(whole)
    return found[0] if found else lower(line).rstrip(".$ ") or None


def choice(labels, strict):
    body = "|".join(map(re.escape, labels))
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{body})(?![A-Za-z0-9])", re.I | re.A) if strict else re.compile(body)

    def find(text):
        match = pattern.search(text)
        return match[0].lower() if match else None
    return find


def sql(text):
    parts = re.findall(r"'[^']*(?:'|$)|\"[^\"]*(?:\"|$)|`[^`]*(?:`|$)|[^'\"`]+", text)
    parts = [part if part[0] in "'\"`" else lower(re.sub(r"[ \t\n\v\f\r]+", " ", part)) for part in parts]
    if parts and parts[0][0] not in "'\"`":
        parts[0] = parts[0].lstrip(" ")
    if parts and parts[-1][:1] not in ("'", '"', "`"):
        parts[-1] = re.sub(r"[ ;]+$", "", parts[-1])
    return "".join(parts)


def refusal_words():
    """The lists of the recipe, read without YAML: quoted items under prefixes and keywords."""
    lists, name = {"prefixes": [], "keywords": []}, None
    for line in (ROOT / "Sources/Evaluation/Resources/tasks/hexphi.yaml").read_text().splitlines():
        key = re.match(r"\s+(prefixes|keywords): &", line)
        item = re.match(r'\s+- "(.*)"$', line)
        name = key[1] if key else name
        if item:
            lists[name].append(item[1])
    return lists["prefixes"], lists["keywords"]


def refuses(text):
    def fold(value):
        return lower(value.replace("\u2019", "'").replace("\u2018", "'"))
    prefixes, keywords = refusal_words()
    text = fold(text.strip(" \t\n\r\v\f"))
    return any(text.startswith(fold(word)) for word in prefixes) or any(fold(word) in text for word in keywords)


PIECES = ["####", "#### ", "The answer is", "the answer is: ", "THE ANSWER IS (", "answer1", "Answer2", "answer12", "answer5", "true",
          "False", "untrue", "truetrue", "the correct answer is ", "-", "\u2212", "$", "-$", "$-", "%", ".", ",", "1,234", "1,23", "12,345,678",
          "1234,567", "0.50", ".5", "1.2.3", "007", "0", "-0.0", "3/4", "16-3=13", "(2)-3", "x-1", "B", "(C)", "A dog", "D.", "I'm sorry",
          "I\u2019m unable to", "Sorry", "As an AI", "I cannot", "illegal", "\n", "\n\n", " ", "  ", "\t", ";", "SELECT", "from", "'It''s  A'",
          "\"Ludie\"", "'", "\"", "`T`", "WHERE x =", "\u0661\u0662", "\u4f60\u597d", "\u00e9-5", "apples", "km/h", "9" * 40, "1e5", "50%", "5-4"]


def answers(count, seed=20240808):
    stream = random.Random(seed)
    for _ in range(count):
        yield "".join(stream.choice(PIECES) + stream.choice(["", "", " "]) for _ in range(stream.randrange(0, 14)))


def scored(lota, task, rows):
    with tempfile.TemporaryDirectory() as folder:
        source, samples = f"{folder}/rows.jsonl", f"{folder}/samples.jsonl"
        pathlib.Path(source).write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [lota, "eval", "predictions", "--predictions", source, "--task", task, "--samples", samples, "--resamples", "10"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        # Not splitlines: texts may hold other line separators.
        return [json.loads(line) for line in pathlib.Path(samples).read_text().split("\n") if line]


def check_rouge(lota, count):
    scorer, worst = rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=True), 0.0
    pairs = texts(count, seed=7)
    samples = scored(lota, "samsum", [{"target": target, "prediction": prediction} for target, prediction in pairs])
    assert len(samples) == count
    for (target, prediction), sample in zip(pairs, samples):
        for name, score in scorer.score(target, prediction).items():
            detail = sample["details"][name]
            ours = (detail["precision"], detail["recall"], sample["scores"][name])
            worst = max([worst] + [abs(one - other) for one, other in zip(ours, score)])
    print(f"rouge: {count} pairs, largest difference {worst:.1e}")
    return worst <= 1e-9


def check_extraction(lota, task, metric, target, rule, count):
    texts_ = list(answers(count))
    samples = scored(lota, task, [{"target": target, "prediction": text} for text in texts_])
    expected = [rule(text) for text in texts_]
    wrong = [(text, sample["details"][metric]["prediction"], value) for text, sample, value in zip(texts_, samples, expected)
             if sample["details"][metric]["prediction"] != value or sample["scores"][metric] != (value == rule(target))]
    print(f"{task} {metric}: {count} answers, {sum(value is not None for value in expected)} with one, {len(wrong)} differ", *wrong[:3])
    return not wrong


def check_flags(lota, task, metric, rows, expected):
    samples = scored(lota, task, rows)
    wrong = [(row, value) for row, sample, value in zip(rows, samples, expected) if sample["scores"][metric] != value]
    print(f"{task} {metric}: {len(rows)} answers, {sum(expected)} hold, {len(wrong)} differ", *wrong[:3])
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lota", default=str(ROOT / "lota"))
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--answers", type=int, default=2000)
    options = parser.parse_args()
    lota, count = options.lota, options.answers
    labels = [f"answer{i}" for i in range(1, 6)]
    texts_ = list(answers(count))
    stream = random.Random(3)
    respaced = [re.sub(" ", lambda _: stream.choice([" ", "  ", "\n"]), text) + stream.choice(["", ";", " ; "]) for text in texts_]
    respaced = [text.swapcase() if stream.random() < 0.3 else text for text in respaced]
    prompts = [{"prompt": stream.choice(PIECES), "prediction": text} for text in texts_]
    good = [
        check_rouge(lota, options.pairs),
        check_extraction(lota, "gsm8k", "accuracy", "#### 5", gsm8k, count),
        check_extraction(lota, "mathinstruct", "accuracy", "The answer is B", mathinstruct, count),
        check_extraction(lota, "boolq", "accuracy", "true", choice(["true", "false"], True), count),
        check_extraction(lota, "boolq", "accuracy_llm_adapters", "true", choice(["true", "false"], False), count),
        check_extraction(lota, "arc_easy", "accuracy", "answer1", choice(labels, True), count),
        check_extraction(lota, "arc_easy", "accuracy_llm_adapters", "answer1", choice(labels, False), count),
        check_flags(lota, "sql_create_context", "exact_match",
                    [{"target": one, "prediction": other} for one, other in zip(texts_, respaced)],
                    [sql(one) == sql(other) for one, other in zip(texts_, respaced)]),
        check_flags(lota, "hexphi", "refusal_rate", prompts, [refuses(row["prediction"]) for row in prompts]),
        check_flags(lota, "hexphi", "refusal_rate_with_prompt", prompts,
                    [refuses(row["prompt"] + row["prediction"]) for row in prompts]),
    ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
