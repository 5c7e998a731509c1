"""The rows that are measured: made up with GSM8K's lengths, of one exact length, or taken from a file."""
import json
import math
import os
import random

from tokenizers import Tokenizer

MAXIMUM_LENGTH = 512
# Fitted to 400 rows of GSM8K under SmolLM2's tokenizer, the end token counted. Quantiles 5, 25, 50, 75, 95 %:
#   prompt      37  50  63  76 105    made up   38  51  63  78 105
#   completion  59  86 121 162 238    made up   59  90 121 163 248
PROMPT_MEDIAN, PROMPT_SPREAD = 63, 0.31
COMPLETION_MEDIAN, COMPLETION_SPREAD = 121, 0.44
CORRELATION = 0.5

WORDS = (
    "the of and to in is that for was on are with as at be this from have by not but what all were when we there can "
    "an your which their said if do will each about how up out them then she many some so these would other into has "
    "more her two like him see time could no make than first been its who now people my made over did down only way "
    "find use may water long little very after words called just where most know"
).split()


class RowMaker:
    """Text of an exact number of tokens, from common words that are one token each."""

    def __init__(self, model, seed=0):
        self.tokenizer = tokenizer_of(model)
        self.random = random.Random(seed)
        self.words = [word for word in WORDS if self.count(f" {word} {word}") - self.count(f" {word}") == 1]

    def count(self, text):
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def text(self, tokens):
        words = [self.random.choice(self.words) for _ in range(tokens)]
        text = " " + " ".join(words)
        while words and self.count(text) > tokens:
            words.pop()
            text = " " + " ".join(words)
        if self.count(text) != tokens:
            raise ValueError(f"this model's tokenizer makes no text of exactly {tokens} tokens from common words")
        return text

    def problem(self):
        """A prompt and a completion of GSM8K's spread: log-normal lengths, correlated; the end token is counted."""
        first, second = self.random.gauss(0, 1), self.random.gauss(0, 1)
        second = CORRELATION * first + math.sqrt(1 - CORRELATION**2) * second
        prompt = round(PROMPT_MEDIAN * math.exp(PROMPT_SPREAD * first))
        completion = round(COMPLETION_MEDIAN * math.exp(COMPLETION_SPREAD * second))
        completion = min(completion, MAXIMUM_LENGTH - prompt)
        return {"prompt": self.text(prompt), "completion": self.text(completion - 1)}


def problems(path, model, count, source=None):
    """Writes `count` rows with prompt and completion; with a source, its rows in order, again from the start if few."""
    if source is None:
        maker = RowMaker(model)
        rows = [maker.problem() for _ in range(count)]
    else:
        rows = read(source)
        tokenizer = tokenizer_of(model)
        rows = [row for row in rows if sum(lengths_of(row, tokenizer)) <= MAXIMUM_LENGTH]
        if not rows:
            raise ValueError(f"{source} has no row of at most {MAXIMUM_LENGTH} tokens")
        rows = [rows[index % len(rows)] for index in range(count)]
    write(path, rows)


def texts(path, model, count, tokens):
    """Writes rows with one text of exactly `tokens` tokens, the end token counted."""
    maker = RowMaker(model)
    write(path, [{"text": maker.text(tokens - 1)} for _ in range(count)])


def lengths(path, model):
    """Tokens and labels of every row of a file, as pairs."""
    tokenizer = tokenizer_of(model)
    with open(path) as file:
        pairs = [lengths_of(json.loads(line), tokenizer) for line in file]
    return [(prompt + completion, completion) for prompt, completion in pairs]


def lengths_of(row, tokenizer):
    """Tokens of the prompt, and tokens learned: the completion's and the end token, or a text's all but the first."""
    def count(text):
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    if "text" in row:
        return 1, count(row["text"])
    return count(row["prompt"]), count(row["completion"]) + 1


def tokenizer_of(model):
    return Tokenizer.from_file(os.path.join(model, "tokenizer.json"))


def read(path):
    """The rows of a file; every one must have a prompt and a completion."""
    rows = []
    with open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                rows.append({"prompt": str(row["prompt"]), "completion": str(row["completion"])})
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{path}, line {number}: not a JSON object with prompt and completion") from None
    return rows


def write(path, rows):
    with open(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
