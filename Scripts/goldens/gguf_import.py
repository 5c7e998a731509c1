"""Goldens of the GGUF import tests: Tests/CheckpointsTests/Goldens/gguf.

blocks.safetensors        per tensor type "<TYPE>.bytes" (U8) and "<TYPE>.values" (F32), the latter by gguf's dequantize;
                          "llama3.<name>" frequency divisors as converters write them, in float32
byte_level.gguf           a llama of random weights in nine tensor types, byte-level BPE in the manner of SmolLM2
sentencepiece.gguf        the same size, untied, with a SentencePiece BPE trained here
<name>.json               what an import must give: per weight, under Hugging Face's name and in its row order, shape and
                          SHA-256 of the float32 bytes; and the merges of tokenizer.json

Run with: python3 Scripts/goldens/gguf_import.py   (needs gguf, numpy, safetensors, sentencepiece, tokenizers, transformers)
Made with gguf 0.19.0, numpy 2.4.6, safetensors 0.8.0, sentencepiece 0.2.3, tokenizers 0.23.3, transformers 5.23.0.
All random numbers come from seed 7.
"""

import hashlib
import io
import json
import math
import sys
from pathlib import Path

sys.path.pop(0)  # Scripts beside this one may have names of packages.

import gguf
import numpy as np
import sentencepiece
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, TokenType
from safetensors.numpy import save_file
from tokenizers import ByteLevelBPETokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers.convert_slow_tokenizer import generate_merges

OUT = Path(__file__).resolve().parents[2] / "Tests/CheckpointsTests/Goldens/gguf"
RANDOM = np.random.default_rng(7)
CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps in the sun.",
    "Low-rank and sparse adapters store small differences from a large base model.",
    "A ticket is a small set of weights; the rest of the weights stay as they are.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "SELECT name, age FROM users WHERE age > 42 ORDER BY name;",
    "for i in range(10): print(i * 2)",
] * 4

# ---------------------------------------------------------------- blocks


def blocks() -> None:
    tensors = {}
    kinds = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
    for name in kinds:
        kind = Type[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        rows = []
        if name not in ("Q4_K", "Q5_K", "Q6_K"):  # gguf has no quantiser for these
            values = RANDOM.normal(0, 0.05, (1, max(elements, 32) * 2)).astype(np.float32)
            rows.append(np.frombuffer(gguf.quantize(values, kind).tobytes(), np.uint8))
        count = 6 if elements < 256 else 3
        if elements == 1:
            count = 64
        # Any bytes are valid quants; scales are random float16 numbers, with zeros, subnormals and extremes among them.
        raw = RANDOM.integers(0, 256, (count, size), dtype=np.uint8)
        for block, offset in [(b, o) for b in range(count) for o in scale_offsets(name)]:
            scale = np.float16(RANDOM.normal(0, 0.1))
            if block == 1:
                scale = np.float16(6e-8 * int(RANDOM.integers(1, 900)))
            if block == 2:
                scale = np.float16([-65504.0, 0.0][int(RANDOM.integers(0, 2))])
            raw[block, offset : offset + 2] = np.frombuffer(scale.tobytes(), np.uint8)
        if elements == 1:
            finite = gguf.dequantize(raw.reshape(1, -1).copy(), kind).reshape(-1)
            raw[~np.isfinite(finite)] = 0
        rows.append(raw.reshape(-1))
        data = np.concatenate(rows)
        tensors[f"{name}.bytes"] = data
        tensors[f"{name}.values"] = gguf.dequantize(data.reshape(1, -1), kind).reshape(-1).astype(np.float32)
    for name, theta, size, factor, low, high, original in [
        ("8b", 500000.0, 128, 8.0, 1.0, 4.0, 8192),
        ("1b", 500000.0, 64, 32.0, 1.0, 4.0, 8192),
        ("other", 10000.0, 64, 4.0, 1.0, 2.5, 1024),
    ]:
        tensors[f"llama3.{name}"] = llama3_divisors(theta, size, factor, low, high, original)
    save_file(tensors, OUT / "blocks.safetensors")


def scale_offsets(name: str) -> list[int]:
    return {
        "Q8_0": [0], "Q4_0": [0], "Q5_0": [0], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2],
        "Q6_K": [208],
    }.get(name, [])


def llama3_divisors(theta, size, factor, low, high, original) -> np.ndarray:
    frequencies = 1.0 / np.float32(theta) ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))
    divisors = []
    for frequency in frequencies.astype(np.float32):
        wavelength = 2 * math.pi / float(frequency)
        if wavelength < original / high:
            divisors.append(1)
        elif wavelength > original / low:
            divisors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, np.float32)


# ---------------------------------------------------------------- models

HIDDEN, HEADS, KEY_HEADS, HEAD, INNER, LAYERS = 32, 4, 2, 8, 64, 2


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """The row order in which converters store q and k."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def model(writer: GGUFWriter, vocabulary: int, tied: bool) -> dict[str, np.ndarray]:
    """Adds random weights; returns what an import must make of them."""
    expected = {}
    kinds = iter([Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.F16, Type.BF16] * 10)

    def add(stored: str, name: str, shape: tuple[int, ...], kind: Type, heads: int = 0) -> None:
        weight = RANDOM.normal(0, 0.05, shape).astype(np.float32)
        data = gguf.quantize(interleaved(weight, heads) if heads else weight, kind)
        writer.add_tensor(stored, data, raw_dtype=kind)
        # Quantisation works within a row, so it commutes with an order of rows.
        expected[name] = gguf.dequantize(gguf.quantize(weight, kind), kind).reshape(shape)

    add("token_embd.weight", "model.embed_tokens.weight", (vocabulary, HIDDEN), Type.Q4_0)
    for layer in range(LAYERS):
        ours, theirs = f"model.layers.{layer}.", f"blk.{layer}."
        add(theirs + "attn_norm.weight", ours + "input_layernorm.weight", (HIDDEN,), Type.F32)
        add(theirs + "ffn_norm.weight", ours + "post_attention_layernorm.weight", (HIDDEN,), Type.F32)
        for stored, name, rows, columns, heads in [
            ("attn_q", "self_attn.q_proj", HEADS * HEAD, HIDDEN, HEADS),
            ("attn_k", "self_attn.k_proj", KEY_HEADS * HEAD, HIDDEN, KEY_HEADS),
            ("attn_v", "self_attn.v_proj", KEY_HEADS * HEAD, HIDDEN, 0),
            ("attn_output", "self_attn.o_proj", HIDDEN, HEADS * HEAD, 0),
            ("ffn_gate", "mlp.gate_proj", INNER, HIDDEN, 0),
            ("ffn_up", "mlp.up_proj", INNER, HIDDEN, 0),
            ("ffn_down", "mlp.down_proj", HIDDEN, INNER, 0),
        ]:
            add(f"{theirs}{stored}.weight", f"{ours}{name}.weight", (rows, columns), next(kinds), heads)
    add("output_norm.weight", "model.norm.weight", (HIDDEN,), Type.F32)
    if not tied:
        add("output.weight", "lm_head.weight", (vocabulary, HIDDEN), Type.Q4_1)
    return expected


def start(name: str) -> GGUFWriter:
    writer = GGUFWriter(OUT / f"{name}.gguf", "llama")
    writer.add_name(f"Golden {name}")
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD)
    return writer


def finish(name: str, writer: GGUFWriter, expected: dict[str, np.ndarray], merges: list) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = {
        key: {"shape": list(value.shape), "sha256": hashlib.sha256(value.astype("<f4").tobytes()).hexdigest()}
        for key, value in expected.items()
    }
    text = json.dumps({"weights": weights, "merges": merges}, ensure_ascii=False, indent=1)
    (OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def byte_level() -> None:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(CORPUS, vocab_size=300, min_frequency=2, show_progress=False)
    model_json = json.loads(tokenizer.to_str())["model"]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = special + sorted(model_json["vocab"], key=model_json["vocab"].get) + ["<tool>"]
    merges = [merge if isinstance(merge, list) else merge.split(" ") for merge in model_json["merges"]]
    kinds = [TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 4) + [TokenType.USER_DEFINED]

    writer = start("byte_level")
    writer.add_rope_freq_base(100000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['role'] + '\\n' + m['content'] }}<|im_end|>\n{% endfor %}")
    finish("byte_level", writer, model(writer, len(tokens), tied=True), merges)


def sentence_piece() -> None:
    output = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=output, model_type="bpe", vocab_size=380, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False,
        user_defined_symbols=["<tool>"], num_threads=1, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=output.getvalue())
    tokens, scores, kinds = [], [], []
    for index in range(processor.vocab_size()):
        tokens.append(processor.id_to_piece(index))
        scores.append(processor.get_score(index))
        kinds.append(
            TokenType.UNKNOWN if processor.is_unknown(index)
            else TokenType.CONTROL if processor.is_control(index)
            else TokenType.BYTE if processor.is_byte(index)
            else TokenType.USER_DEFINED if tokens[-1] == "<tool>"
            else TokenType.NORMAL)
    made = {t: i for i, t in enumerate(tokens) if kinds[i] in (TokenType.NORMAL, TokenType.USER_DEFINED)}
    merges = generate_merges(made, {t: scores[i] for t, i in made.items()})

    writer = start("sentencepiece")
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(processor.bos_id())
    writer.add_eos_token_id(processor.eos_id())
    writer.add_unk_token_id(processor.unk_id())
    expected = model(writer, len(tokens), tied=False)
    finish("sentencepiece", writer, expected, [list(merge) for merge in merges])


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    blocks()
    byte_level()
    sentence_piece()
