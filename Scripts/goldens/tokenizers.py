"""Small tokenizers of every supported family, with the ids and texts the reference gives for them.

    python Scripts/goldens/tokenizers.py Tests/TokenizersTests/Goldens

Needs the `tokenizers` library (goldens made with 0.23.3). Seed 20240611. Writes, for each family,
FAMILY/tokenizer.json and FAMILY/cases.json:

    {"tokenizers": version, "ids": [[...], ...], "special": [[...], ...], "decoded": [text or null, ...],
     "skipped": [text or null, ...]}

one entry per text of texts.json. `special` holds what special tokens add before and after; `decoded` is null where
decoding gives the text back, `skipped` (special tokens left out) where it equals the decoded text.
normalization.json holds texts with their four normalization forms (null where nothing changes).
"""

import collections
import json
import os
import random
import sys

# This file is called like the library; do not find ourselves.
sys.path = [entry for entry in sys.path if os.path.abspath(entry or ".") != os.path.dirname(os.path.abspath(__file__))]

import tokenizers  # noqa: E402
from tokenizers import (  # noqa: E402
    AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers,
)

SEED = 20240611
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])
FRAGMENTS = [
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
    "SELECT COUNT(*) FROM head WHERE age > 56 AND name = 'Smith';",
    "def f(x, *args):\n    \"\"\"Return x.\"\"\"\n    return {k: v for k, v in args[0].items()}\n",
    "Ünïcödé größer Straße", "Привет, как дела? №5", "你好，世界！天气非常好", "こんにちは、カタカナ", "안녕하세요 세계",
    "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "Γειά σου Κόσμε", "tiếng Việt có dấu", "தமிழ் மொழி",
    "İstanbul ıĞğ", "ﬁne ﬂow ﬀ", "𝕳𝖊𝖑𝖑𝖔 𝓦𝓸𝓻𝓵𝓭", "①②③ ½ Ⅷ ²³ ٣٤٥ १२३ 𝟘𝟙", "👩‍👩‍👧‍👦 👨🏽‍💻 🏳️‍🌈 🇩🇪🇫🇷 ☺️",
    "e\u0301 \u00e9 a\u0323\u0302 \u1ead o\u0308\u0304 A\u030a \u212b \u2126", "\u1112\u1161\u11ab \ud55c",
    "\u0f73\u0f75\u0f81 \u0344 \ufb2c", "zero\u200bwidth\u200cnon\u200djoin\ufeffbom",
    "nbsp\u00a0nbsp\u2003em\u3000ideo\u2028ls\u2029ps\u0085nel", "don't DON'T we'Ve I'LL he'd 'ſ y'all'd've's",
    "\x00\x01\x1b[0m\x7f", "tab\ttab\t\tx  y   z    w     ", "\n\n\n  \r\n\r\n \t \n x", "▁▁ ▁a ▁ b▁", "<0x0A> Ġ Ċ",
    "<s> </s><unk> <|endoftext|><|im_start|>user\nhi<|im_end|>\n", "[ADD][LS] a  [LS] [RS]  b [SW]c [SW] [NRM]Straße",
    "{}[]()<>!@#$%^&*_+-=~`|\\:;\"'?,./", "https://example.com/a?b=c&d=%20#frag", "3.14159 1,000,000 2024-06-11 1e-5",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\u088f\u1c89\u0295\ua7ce\U00016ea0\U00011de3", "HTTPServerError camelCase XMLs", "a/b/c//d\n/e",
]
POOLS = [
    (0x20, 0x7E), (0, 0x20), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x5FF), (0x900, 0x97F), (0x1100, 0x11FF),
    (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x218F), (0x3000, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x10000, 0x10FFFF), (0xE000, 0xFFFF),
]
PIECES = [" ", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "a", "b1", "2", "'s", "'", "!", "..", "é", "\u0301",
          "<s>", "</s>", "<|im_start|>", "[ADD]", "[LS]", "[RS]", "[SW]", "[NRM]", "▁", "of", " the"]
ADDED = [
    AddedToken("[ADD]", normalized=False), AddedToken("[LS]", lstrip=True, normalized=False),
    AddedToken("[RS]", rstrip=True, normalized=False), AddedToken("[SW]", single_word=True, normalized=False),
    AddedToken("[NRM]", normalized=True), AddedToken("Straße", normalized=True),
    AddedToken("<|im_start|>", special=True, normalized=False),
]


def texts(rng):
    rows = ["", " ", "\n", "a"] + list(FRAGMENTS)
    for _ in range(50):
        rows.append(rng.choice(["", " ", "\n", "  "]).join(rng.sample(FRAGMENTS, rng.randrange(2, 4))))
    for _ in range(60):
        pools = rng.sample(POOLS, rng.randrange(1, 4)) + [(0x20, 0x7E)]
        rows.append("".join(chr(rng.randint(*rng.choice(pools))) for _ in range(rng.randrange(1, 40))))
    for _ in range(60):
        rows.append("".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 25))))
    return rows


def byte_level(pre_tokenizer, normalizer=None, post_processor=None, template=False, **options):
    def build(corpus):
        tokenizer = Tokenizer(models.BPE(**options))
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.decoder = decoders.ByteLevel()
        if post_processor is not None:
            tokenizer.post_processor = post_processor
        tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
            vocab_size=1000, show_progress=False, special_tokens=["<|endoftext|>", "<s>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
        tokenizer.add_tokens(ADDED)
        if template:
            bos = ("<s>", tokenizer.token_to_id("<s>"))
            tokenizer.post_processor = processors.Sequence([
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[bos])])
        return tokenizer
    return build


def sentencepiece(normalizer, pre_tokenizer, decoder, byte_fallback=True, fuse_unk=True):
    def build(corpus):
        tokenizer = Tokenizer(models.BPE(byte_fallback=byte_fallback, fuse_unk=fuse_unk, unk_token="<unk>"))
        tokenizer.normalizer = normalizer
        # Trained on words; what the file says is set afterwards.
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
        special = ["<unk>", "<s>", "</s>"]
        fallback = [f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []
        # The trainer breaks ties among rare characters at random; choose the alphabet here.
        normal = [normalizer.normalize_str(row) if normalizer else row for row in corpus]
        counts = collections.Counter("".join(normal).replace(" ", "▁"))
        alphabet = sorted(counts, key=lambda character: (-counts[character], character))[:90]
        tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
            vocab_size=900, show_progress=False, special_tokens=special + fallback, limit_alphabet=90,
            initial_alphabet=alphabet))
        state = json.loads(tokenizer.to_str())
        state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] in special]
        state["pre_tokenizer"] = None
        tokenizer = Tokenizer.from_str(json.dumps(state))
        if pre_tokenizer is not None:
            tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.decoder = decoder
        tokenizer.add_tokens(ADDED)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A <s> $B", special_tokens=[("<s>", 1), ("</s>", 2)])
        return tokenizer
    return build


def families():
    split = lambda pattern: pre_tokenizers.Split(Regex(pattern), "isolated")  # noqa: E731
    plain = lambda **options: pre_tokenizers.ByteLevel(add_prefix_space=False, **options)  # noqa: E731
    after = lambda pattern: pre_tokenizers.Sequence([split(pattern), plain(use_regex=False)])  # noqa: E731
    undo = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    metaspace = lambda **options: pre_tokenizers.Metaspace(replacement="▁", **options)  # noqa: E731
    llama2 = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return {
        "gpt2": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), post_processor=processors.ByteLevel()),
        "smollm2": byte_level(pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), plain()])),
        "llama3": byte_level(after(LLAMA3), template=True, ignore_merges=True),
        "qwen2": byte_level(after(QWEN2), normalizer=normalizers.NFC(), post_processor=processors.ByteLevel()),
        "o200k": byte_level(after(O200K)),
        "llama2": sentencepiece(llama2, None, undo),
        "mistral": sentencepiece(None, metaspace(prepend_scheme="first", split=False), undo),
        "metaspace": sentencepiece(
            normalizers.NFKC(), metaspace(prepend_scheme="always"),
            decoders.Metaspace(replacement="▁", prepend_scheme="always"), byte_fallback=False),
        "mixed": sentencepiece(
            normalizers.Sequence([
                normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip(),
                normalizers.Replace(Regex(r"\s+"), "▁")]),
            pre_tokenizers.Sequence([
                pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Digits(individual_digits=False),
                pre_tokenizers.Split("▁", "merged_with_next")]),
            None, byte_fallback=False, fuse_unk=False),
    }


def save_state(tokenizer, name, path):
    state = json.loads(tokenizer.to_str())
    if name == "llama2":  # the older dialect of merges
        state["model"]["merges"] = [" ".join(merge) for merge in state["model"]["merges"]]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(state, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    return Tokenizer.from_file(path)


def save(value, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


def main(out):
    rng = random.Random(SEED)
    rows = texts(rng)
    os.makedirs(out, exist_ok=True)
    save(rows, f"{out}/texts.json")
    corpus = [row for row in rows[4:] for _ in range(2)]
    for name, build in families().items():
        os.makedirs(f"{out}/{name}", exist_ok=True)
        tokenizer = save_state(build(corpus), name, f"{out}/{name}/tokenizer.json")
        cases = {"tokenizers": tokenizers.__version__, "ids": [], "special": [], "decoded": [], "skipped": []}
        for row in rows:
            ids = tokenizer.encode(row, add_special_tokens=False).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            skipped = tokenizer.decode(ids, skip_special_tokens=True)
            special = tokenizer.encode(row, add_special_tokens=True).ids
            start = next(at for at in range(len(special) + 1) if special[at:at + len(ids)] == ids)
            cases["ids"].append(ids)
            cases["special"].append([special[:start], special[start + len(ids):]])
            cases["decoded"].append(None if decoded == row else decoded)
            cases["skipped"].append(None if skipped == decoded else skipped)
        save(cases, f"{out}/{name}/cases.json")
    forms = {name: getattr(normalizers, name)() for name in ["NFC", "NFD", "NFKC", "NFKD"]}
    marks = [0x300, 0x301, 0x308, 0x323, 0x327, 0x345, 0x5B0, 0x5B9, 0x64B, 0x651, 0x93C, 0x9BE, 0xDCF, 0xE38, 0xF71,
             0xF74, 0x1161, 0x11A8, 0x302A, 0x3099, 0x1D165, 0x1E130, 0x8D3]
    bases = [0x41, 0x65, 0x6F, 0x3B1, 0x627, 0x928, 0x9C7, 0xDD9, 0xF40, 0x1100, 0xAC00, 0x304B, 0xFB01, 0xF900, 0x2126,
             0x1E69, 0x11935, 0x32FF, 0x1D15E, 0x212B, 0x0344, 0x0F73]
    samples = list(FRAGMENTS)
    for _ in range(150):
        scalars = [rng.choice(marks if rng.random() < 0.6 else bases) for _ in range(rng.randrange(2, 16))]
        samples.append("".join(map(chr, scalars)))
    results = [[form.normalize_str(sample) for form in forms.values()] for sample in samples]
    save([
        {"text": sample, "forms": [None if form == sample else form for form in row]}
        for sample, row in zip(samples, results)], f"{out}/normalization.json")


if __name__ == "__main__":
    main(sys.argv[1])
