"""Tests of lota_adapter.py: python -m unittest. The encoder here follows docs/adapter-format.md symbol by symbol."""

import contextlib
import hashlib
import io
import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

import lota_adapter
from lota_adapter import Adapter, AdapterError

try:
    import torch
except ImportError:
    torch = None

KIND = {"F32": np.uint32, "BF16": np.uint16, "F16": np.uint16}


# Encoder


class BitString:
    def __init__(self):
        self.value, self.length = 0, 0

    def put(self, number, width):
        self.value |= number << self.length
        self.length += width

    def bytes(self):
        return self.value.to_bytes((self.length + 7) // 8, "little")


def golomb_rice(symbols, k=None):
    if k is None:
        k = max(0, int(np.mean([m for m, _ in symbols]) + 1).bit_length() - 1)
    low, high = BitString(), BitString()
    for m, mark in symbols:
        assert mark == 0
        low.put(m & ((1 << k) - 1), k)
        high.put(1 << (m >> k), (m >> k) + 1)
    return bytes([0, k]) + low.bytes() + high.bytes()


def token_of(m, mark):
    """Token, extra bits, and how many they are."""
    if m < 16:
        return m + 128 * mark, 0, 0
    e = m.bit_length() - 1
    return 16 + 4 * (e - 4) + (m >> (e - 2) & 3) + 128 * mark, m & ((1 << (e - 2)) - 1), e - 2


def shares_of(tokens):
    """Shares by token, adding up to 4096."""
    counts = {token: tokens.count(token) for token in set(tokens)}
    shares = {token: max(1, count * 4096 // len(tokens)) for token, count in counts.items()}
    while sum(shares.values()) != 4096:
        largest = max(shares, key=lambda token: (shares[token], token))
        shares[largest] += 1 if sum(shares.values()) < 4096 else -1
    return shares


def table_bytes(shares):
    last = max(shares)
    out, token = bytearray([last]), 0
    while token <= last:
        share = shares.get(token, 0)
        if share == 0:
            further = 0
            while shares.get(token + 1 + further, 0) == 0:
                further += 1
            out += bytes([0, further])
            token += further
        elif share < 128:
            out.append(share)
        else:
            out += bytes([share & 127 | 128, share >> 7])
        token += 1
    return bytes(out)


def rans_block(parts, shares, start):
    """(words, extra) of one block's (token, extra, width)s."""
    state, words = 65536, []
    for token, _, _ in reversed(parts):
        share = shares[token]
        if state >= share << 20:
            words.append(state & 65535)
            state >>= 16
        state = (state // share) * 4096 + state % share + start[token]
    words += [state >> 16, state & 65535]
    extra = BitString()
    for _, bits, width in parts:
        extra.put(bits, width)
    return words[::-1], extra.bytes()


def rans(symbols):
    parts = [token_of(m, mark) for m, mark in symbols]
    shares = shares_of([token for token, _, _ in parts])
    start = {token: sum(share for other, share in shares.items() if other < token) for token in shares}
    blocks = [rans_block(parts[i:i + 4096], shares, start) for i in range(0, len(parts), 4096)]
    return assembled(table_bytes(shares), blocks)


def assembled(table, blocks):
    directory = b"".join(struct.pack("<HH", len(words), len(extra)) for words, extra in blocks)
    body = b"".join(struct.pack(f"<{len(words)}H", *words) + extra for words, extra in blocks)
    return b"\1" + table + directory + body


def shorter(symbols):
    coded = [rans(symbols)]
    if not any(mark for _, mark in symbols) and sum(m for m, _ in symbols) < 1 << 24:
        coded.append(golomb_rice(symbols))
    return min(coded, key=len)


def index_symbols(indices):
    gaps = np.diff(np.asarray(indices, np.int64), prepend=-1) - 1
    return [(int(gap), 0) for gap in gaps]


def value_symbols(differences, width):
    symbols = []
    for d in map(int, differences):
        mark = 0 if d < 1 << (width - 2) or d >= 3 << (width - 2) else 1
        s = (d - (mark << (width - 1))) % (1 << width)
        s -= (s >> (width - 1)) << width
        symbols.append((2 * s if s >= 0 else -2 * s - 1, mark))
    return symbols


def sha(data):
    return hashlib.sha256(data).hexdigest()


def digest(data):
    return hashlib.sha256(data).digest()[:16]


def safetensors_bytes(tensors, metadata=None):
    """A file of {name: (dtype, shape, bytes)}."""
    header, at = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values())


def number(pattern, dtype):
    """The value of a float pattern, as a Python float."""
    data = struct.pack("<I", pattern << 16) if dtype == "BF16" else struct.pack("<I" if dtype == "F32" else "<H", pattern)
    return struct.unpack("<e" if dtype == "F16" else "<f", data)[0]


def nearest(value, dtype):
    """The pattern of a finite float32 (as a Python float) in a type, ties to even."""
    if dtype == "F16":
        return struct.unpack("<H", struct.pack("<e", value))[0]
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    if dtype == "F32":
        return bits
    low, rest = bits >> 16, bits & 0xFFFF
    return low + (rest > 0x8000 or rest == 0x8000 and low & 1)


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def bfloat16_values(updates):
    """(bytes, stored updates) of float32 updates as Python floats."""
    patterns = [nearest(update, "BF16") for update in updates]
    largest = max(pattern & 0x7FFF for pattern in patterns)
    symbols = [((largest - (pattern & 0x7FFF)) << 1 | pattern >> 15, 0) for pattern in patterns]
    return struct.pack("<H", largest) + shorter(symbols), [number(pattern, "BF16") for pattern in patterns]


def int8_values(updates):
    scales, steps = [], []
    for begin in range(0, len(updates), 256):
        block = updates[begin:begin + 256]
        scales.append(single(max(map(abs, block)) / 127))
        for update in block:
            steps.append(max(-127, min(127, round(single(update / scales[-1])))) if scales[-1] else 0)
    symbols = [(2 * q if q >= 0 else -2 * q - 1, 0) for q in steps]
    stored = [single(scales[i // 256] * q) for i, q in enumerate(steps)]
    return struct.pack(f"<{len(scales)}f", *scales) + shorter(symbols), stored


LOSSY = {"bfloat16": bfloat16_values, "int8": int8_values}


class Made:
    """An adapter in the making: base and trained patterns by name, its configuration and its streams."""

    def __init__(self):
        self.base, self.trained, self.streams, self.tensors, self.trained_digests = {}, {}, {}, {}, {}
        self.extra_metadata, self.extra_records, self.changes, self.indices = {}, {}, {}, {}

    def add(self, name, dtype, base, trained, indices, index_coding=shorter, value_coding=shorter):
        kind = KIND[dtype]
        base, trained = base.astype(kind), trained.astype(kind)
        indices = np.asarray(indices, np.int64)
        flat = trained.reshape(-1)[indices]
        differences = flat - base.reshape(-1)[indices]
        self.base[name], self.trained[name], self.indices[name] = base, trained, indices
        self.streams[f"{name}.indices"] = index_coding(index_symbols(indices))
        self.streams[f"{name}.values"] = value_coding(value_symbols(differences, kind().itemsize * 8))
        self.tensors[name] = {"dtype": dtype, "shape": list(base.shape), "trained": len(indices),
                              "sha256": sha(base.tobytes())}
        self.trained_digests[name] = digest(flat.tobytes())
        return self

    def round(self, coding):
        """Replaces all values by rounded updates; `trained` becomes what they give."""
        for name, tensor in self.tensors.items():
            dtype, kind = tensor["dtype"], KIND[tensor["dtype"]]
            base, trained = self.base[name].reshape(-1), self.trained[name].reshape(-1).copy()
            indices = self.indices[name]
            before = [number(int(pattern), dtype) for pattern in base[indices]]
            after = [number(int(pattern), dtype) for pattern in trained[indices]]
            data, stored = LOSSY[coding]([single(y - x) for x, y in zip(before, after)])
            trained[indices] = np.array([nearest(single(x + u), dtype) for x, u in zip(before, stored)], kind)
            self.streams[f"{name}.values"] = data
            self.trained[name] = trained.reshape(self.trained[name].shape)
            self.trained_digests[name] = digest(trained[indices].tobytes())
        self.changes.update(value_coding=coding, value_error={"relative_rms": 0.01, "maximum": 1e-3})
        return self

    def records(self):
        return {name: self.record(name) for name in self.tensors if f"{name}.indices" in self.streams} | self.extra_records

    def configuration(self):
        records = self.records()
        leading = b"".join(records[name][:32] for name in sorted(records, key=lambda name: name.encode()))
        tensors = {name: dict(value) for name, value in self.tensors.items()}
        count = sum(value["trained"] for value in tensors.values())
        return {"format": "lota-adapter", "version": 2, "method": "lota", "sparsity": 0.9, "trained_count": count,
                "scoped_count": 10 * count, "base_fingerprint": "0" * 64, "base_byte_count": 1000,
                "records_sha256": sha(leading), "training": {"steps": "100", "seed": "1"}, "base_tensors": tensors, **self.changes}

    def record(self, name):
        indices, values = self.streams[f"{name}.indices"], self.streams[f"{name}.values"]
        rest = digest(values) + self.trained_digests[name] + struct.pack("<I", len(indices)) + indices
        return digest(rest) + rest + values

    def write(self, directory):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        records = self.records()
        text = json.dumps(self.configuration(), indent=1).encode()
        metadata = {"format": "lota-adapter", "version": "2", "configuration_sha256": sha(text), **self.extra_metadata}
        tensors = {name: ("U8", (len(data),), data) for name, data in records.items()}
        (directory / "adapter_config.json").write_bytes(text)
        (directory / "adapter_model.safetensors").write_bytes(safetensors_bytes(tensors, metadata))
        return directory


def random_tensor(rng, dtype, shape, density, spread=20, flips=0.02):
    """base, trained, indices: differences mostly within `spread`, some with the sign changed, some zero."""
    kind, size = KIND[dtype], int(np.prod(shape))
    indices = np.flatnonzero(rng.random(size) < density)
    if len(indices) == 0:
        indices = np.array([size // 2])
    base = rng.integers(0, np.iinfo(kind).max, size, dtype=kind, endpoint=True)
    steps = np.rint(rng.normal(0, spread, len(indices))).astype(np.int64)
    trained = base.copy()
    trained[indices] += steps.astype(kind)
    signs = (rng.random(len(indices)) < flips).astype(kind) << kind(kind().itemsize * 8 - 1)
    trained[indices] ^= signs
    return base.reshape(shape), trained.reshape(shape), indices


class AdapterTests(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.rng = np.random.default_rng(7)

    def copies(self, patterns):
        return {name: array.copy() for name, array in patterns.items()}

    def check_round_trip(self, made):
        directory = made.write(self.folder / "adapter")
        adapter = Adapter(directory)
        self.assertEqual(adapter.tensor_names, sorted(made.base))
        model = self.copies(made.base)
        adapter.verify(model)
        self.assertIs(adapter.apply_(model), model)
        for name in made.base:
            np.testing.assert_array_equal(model[name], made.trained[name])
            indices, differences = adapter.entries(name, made.base)
            self.assertEqual((indices.dtype, differences.dtype), (np.int64, made.base[name].dtype))
            changed = made.base[name].reshape(-1).copy()
            changed[indices] += differences
            np.testing.assert_array_equal(changed.reshape(made.base[name].shape), made.trained[name])
            self.assertEqual(len(indices), made.tensors[name]["trained"])
        adapter.remove_(model, made.base)
        for name in made.base:
            np.testing.assert_array_equal(model[name], made.base[name])
        return adapter

    def small(self, **coding):
        made = Made()
        for name, dtype in (("a.weight", "BF16"), ("b.weight", "F32")):
            made.add(name, dtype, *random_tensor(self.rng, dtype, (12, 10), 0.3), **coding)
        return made

    # Round trips

    def test_types_and_densities(self):
        made = Made()
        for dtype in KIND:
            for density in (1.0, 0.5, 0.1, 0.01, 0.0005):
                made.add(f"{dtype}.{density}", dtype, *random_tensor(self.rng, dtype, (100, 97), density))
        self.check_round_trip(made)

    def test_codings(self):
        for coding in (golomb_rice, rans):
            for dtype in KIND:
                made = Made().add("w", dtype, *random_tensor(self.rng, dtype, (90, 100), 0.6, flips=0), coding, coding)
                self.check_round_trip(made)

    def test_every_golomb_rice_parameter(self):
        numbers = [0, 1, 2, 15, 16, 1000, 2**16 + 3, 2**25 + 7]
        for k in range(31):
            kept = [m for m in numbers if m >> k < 5000] + [2**31 - 1] * (k > 20)
            stream = lota_adapter._Stream(golomb_rice([(m, 0) for m in kept], k), len(kept), "w")
            self.assertEqual(stream.symbols.tolist(), kept)

    def test_every_token_in_both_marks(self):
        numbers = [m for e in range(31) for m in ((1 << e) - 1, 1 << e, 5 << e >> 2, (2 << e) - 1)]
        symbols = [(m, mark) for m in numbers for mark in (0, 1)] * 40
        random.Random(1).shuffle(symbols)
        stream = lota_adapter._Stream(rans(symbols), len(symbols), "w")
        lota_adapter._decode_blocks([stream])
        self.assertEqual(list(zip(stream.symbols.tolist(), stream.marks.astype(int).tolist())), symbols)

    def test_all_pairs_of_unusual_values(self):
        for dtype, patterns in (
            ("BF16", [0, 1, 0x7F, 0x80, 0x3F80, 0x7F7F, 0x7F80, 0x7F81, 0x7FC0, 0x7FFF]),
            ("F16", [0, 1, 0x3FF, 0x400, 0x3C00, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF]),
            ("F32", [0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]),
        ):
            sign = 0x80000000 if dtype == "F32" else 0x8000
            both = np.array(patterns + [pattern | sign for pattern in patterns], KIND[dtype])
            base, trained = np.repeat(both, len(both)), np.tile(both, len(both))
            self.check_round_trip(Made().add("w", dtype, base, trained, np.arange(len(base))))

    def test_every_bfloat16_difference(self):
        base = self.rng.integers(0, 65536, 65536).astype(np.uint16)
        trained = base + np.arange(65536, dtype=np.uint16)
        self.check_round_trip(Made().add("w", "BF16", base, trained, np.arange(65536)))

    def test_block_edges(self):
        for count in (1, 2, 4095, 4096, 4097, 8191, 8192, 8193):
            made = Made()
            for name, length in (("edge", count), ("other", 5000), ("short", 3)):
                base, trained, _ = random_tensor(self.rng, "BF16", (length,), 1.0)
                made.add(name, "BF16", base, trained, np.arange(length), rans, rans)
            self.check_round_trip(made)

    def test_single_token_tables(self):
        base = np.arange(9000, dtype=np.uint16)
        for difference in (0, 1, 40000, 20000, 65535):
            made = Made().add("w", "BF16", base, base + np.uint16(difference), np.arange(9000), rans, rans)
            if difference != 0:
                self.assertLess(len(made.streams["w.indices"]), 40)
            self.check_round_trip(made)

    def test_far_indices(self):
        shape, size = (1 << 12, 1 << 11), 1 << 23
        base = np.zeros(size, np.uint16)
        trained = base.copy()
        indices = np.array([0, 1, size // 2, size - 2, size - 1])
        trained[indices] = [5, 6, 7, 8, 0x8009]
        for coding in (rans, lambda symbols: golomb_rice(symbols, 20)):
            self.check_round_trip(Made().add("w", "F16", base.reshape(shape), trained.reshape(shape), indices, coding))

    def test_scalar_and_empty_adapter(self):
        self.check_round_trip(Made().add("w", "F32", np.array(7, np.uint32), np.array(9, np.uint32), [0]))
        self.check_round_trip(Made())

    def test_groups(self):
        kept = lota_adapter.GROUP_ENTRIES, lota_adapter.GROUP_TENSORS
        try:
            for limits in ((1, 512), (100, 512), (1 << 22, 2)):
                lota_adapter.GROUP_ENTRIES, lota_adapter.GROUP_TENSORS = limits
                made = Made()
                for i in range(7):
                    made.add(f"w{i}", "F16", *random_tensor(self.rng, "F16", (30, 4), 0.4))
                self.check_round_trip(made)
        finally:
            lota_adapter.GROUP_ENTRIES, lota_adapter.GROUP_TENSORS = kept

    def test_difference_zero_stays_an_entry(self):
        base = np.arange(40, dtype=np.uint16)
        trained = base.copy()
        trained[3] += 1
        adapter = self.check_round_trip(Made().add("w", "BF16", base, trained, [3, 4, 5]))
        self.assertEqual(adapter.entries("w")[1].tolist(), [1, 0, 0])

    # Rounded values

    def rounded(self, coding, size=600):
        """Normal updates, a block of zeros, changes of sign, a huge one, subnormals; every type."""
        made = Made()
        for dtype, kind in KIND.items():
            base = self.rng.normal(0, 0.1, size).astype(np.float32)
            trained = base + self.rng.normal(0, 0.01, size).astype(np.float32)
            trained[256:512] = base[256:512]
            trained[:9] = -base[:9]
            trained[9] = 30000
            tiny = {"F32": 1e-45, "BF16": 1e-40, "F16": 6e-8}[dtype]
            base[512:], trained[512:] = 0, np.arange(size - 512) % 7 * tiny
            patterns = [np.array([nearest(float(x), dtype) for x in values], kind) for values in (base, trained)]
            indices = np.setdiff1d(np.arange(size), [3, 77])
            patterns[1][[3, 77]] = patterns[0][[3, 77]]
            made.add(dtype, dtype, patterns[0].reshape(2, -1), patterns[1].reshape(2, -1), indices)
        return made.round(coding)

    def test_rounded_values(self):
        for coding in LOSSY:
            self.check_round_trip(self.rounded(coding))

    def test_rounded_values_by_hand(self):
        one = Made().add("w", "F32", np.array([2, 8], np.float32).view(np.uint32),
                         np.array([3.00390625, 6.98828125], np.float32).view(np.uint32), [0, 1]).round("bfloat16")
        self.assertEqual(one.trained["w"].view(np.float32).tolist(), [3, 6.984375])
        self.assertEqual(one.streams["w.values"][:2], b"\x82\x3f")
        self.check_round_trip(one)
        two = Made().add("w", "F32", np.zeros(4, np.uint32), np.array([127, 0.5, 1.5, -3.25], np.float32).view(np.uint32),
                         [0, 1, 2, 3]).round("int8")
        self.assertEqual(two.trained["w"].view(np.float32).tolist(), [127, 0, 2, -3])
        self.assertEqual(two.streams["w.values"][:4], struct.pack("<f", 1))
        self.check_round_trip(two)

    def test_rounded_values_need_the_base(self):
        made = self.rounded("int8")
        adapter = Adapter(made.write(self.folder / "adapter"))
        model = self.copies(made.trained)
        for act in (adapter.remove_, lambda _: adapter.entries("F32")):
            with self.assertRaisesRegex(AdapterError, "hand it in as base"):
                act(model)
        with self.assertRaisesRegex(AdapterError, "sha256"):
            adapter.remove_(model, made.trained)
        for name, trained in made.trained.items():
            np.testing.assert_array_equal(model[name], trained)

    def test_rounded_values_rules(self):
        def refused(coding, reason, values):
            made = self.rounded(coding)
            made.streams["F32.values"] = values(made.streams["F32.values"])
            self.assertIn(reason, self.refused(made.write(self.folder / "adapter"), made.base))

        count = len(self.rounded("int8").indices["F32"])
        refused("bfloat16", "no finite bfloat16", lambda data: b"\x80\x7f" + data[2:])
        refused("bfloat16", "no finite bfloat16", lambda data: b"\0\0" + data[2:])
        refused("bfloat16", "too short", lambda data: b"\0")
        refused("bfloat16", "marked", lambda data: data[:2] + rans([(0, 1)] * count))
        for scale in (-1.0, float("nan"), float("inf"), 3e38, -0.0):
            refused("int8", "impossible scale", lambda data: struct.pack("<f", scale) + data[4:])
        refused("int8", "beyond 127", lambda data: data[:12] + rans([(255, 0)] * count))
        refused("int8", "too short", lambda data: data[:11])
        for changes in ({"value_coding": "int4"}, {"value_coding": "exact"}, {"value_coding": None}, {"value_error": None},
                        {"value_error": {}}, {"value_error": {"relative_rms": -1, "maximum": 0}},
                        {"value_error": {"relative_rms": 0, "maximum": 0, "more": 0}}):
            made = self.rounded("int8")
            made.changes.update(changes)
            self.refused(made.write(self.folder / "adapter"), made.base)
        made = self.rounded("int8")
        del made.changes["value_error"]
        self.refused(made.write(self.folder / "adapter"), made.base)

    def test_rounded_values_on_the_command_line(self):
        made = self.rounded("bfloat16")
        adapter = made.write(self.folder / "adapter")
        base, tuned, back = (self.folder / name for name in ("base", "tuned", "back"))
        self.write_model(base, self.model_tensors(made, made.base), 2)
        self.assertEqual(self.run_command("apply", "--model", base, "--adapter", adapter, "--out", tuned)[0], 0)
        remove = ["remove", "--model", tuned, "--adapter", adapter, "--out", back]
        status, _, errors = self.run_command(*remove)
        self.assertEqual((status, errors.count("\n"), back.exists()), (1, 1, False))
        self.assertEqual(self.run_command(*remove, "--base", base)[0], 0)
        expected = self.contents(base)
        del expected["pytorch_model.bin"]
        self.assertEqual(self.contents(back), expected)
        self.assertIn("bfloat16 updates", self.run_command("inspect", adapter)[1])

    # Damage

    def refused(self, directory, model):
        with self.assertRaises(AdapterError) as caught:
            Adapter(directory).verify(model)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_every_bit_flip(self):
        for coding in (rans, golomb_rice):
            made = Made()
            for name, dtype in (("a", "BF16"), ("b", "F32")):
                made.add(name, dtype, *random_tensor(self.rng, dtype, (6, 5), 0.4, flips=0), coding, coding)
            directory = made.write(self.folder / "adapter")
            Adapter(directory).verify(made.base)
            for path in directory.iterdir():
                data = path.read_bytes()
                for bit in range(8 * len(data)):
                    changed = bytearray(data)
                    changed[bit // 8] ^= 1 << bit % 8
                    path.write_bytes(changed)
                    self.refused(directory, made.base)
                path.write_bytes(data)

    def test_every_truncation_and_appended_byte(self):
        made = self.small()
        directory = made.write(self.folder / "adapter")
        for path in directory.iterdir():
            data = path.read_bytes()
            for changed in [data[:length] for length in range(len(data))] + [data + b"\0", data + b" "]:
                path.write_bytes(changed)
                self.refused(directory, made.base)
            path.write_bytes(data)
            path.unlink()
            self.refused(directory, made.base)
            path.write_bytes(data)
        Adapter(directory).verify(made.base)

    def test_damage_with_matching_digests_raises_nothing_else(self):
        chance = random.Random(3)
        made = self.small(index_coding=rans)
        original = dict(made.streams)
        for _ in range(3000):
            name = chance.choice(sorted(original))
            data = bytearray(original[name])
            for _ in range(chance.choice((1, 1, 1, 3, 10))):
                action, at = chance.randrange(4), chance.randrange(len(data) + 1)
                if action == 0 and at < len(data):
                    data[at] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
                elif action == 1:
                    data[at:at] = bytes(chance.choices(range(256), k=chance.randrange(1, 6)))
                elif action == 2:
                    del data[at:at + chance.randrange(1, 6)]
                elif at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
            made.streams = {**original, name: bytes(data)}
            directory = made.write(self.folder / "adapter")
            if bytes(data) != original[name]:
                self.refused(directory, made.base)

    def stream_refused(self, data, count, reason, size=1 << 30, width=None):
        with self.assertRaises(AdapterError) as caught:
            stream = lota_adapter._Stream(data, count, "w.indices")
            if stream.symbols is None:
                lota_adapter._decode_blocks([stream])
            lota_adapter._differences(stream, width) if width else lota_adapter._indices(stream, size)
        self.assertIn(reason, str(caught.exception))

    def test_golomb_rice_rules(self):
        good = golomb_rice([(m, 0) for m in (3, 9, 20)], 3)  # 9 low bits, 7 high bits
        self.stream_refused(b"", 3, "no bytes")
        self.stream_refused(b"\2" + good[1:], 3, "unknown coding")
        self.stream_refused(good[:1], 3, "ends in its parameter")
        self.stream_refused(b"\0\x1f" + good[2:], 3, "parameter 31")
        self.stream_refused(good[:4], 3, "too short")
        self.stream_refused(good, 2, "as many numbers")
        self.stream_refused(good + b"\0", 3, "as many numbers")
        self.stream_refused(good[:-1] + bytes([good[-1] | 128]), 3, "as many numbers")
        self.stream_refused(good[:3] + bytes([good[3] | 2]) + good[4:], 3, "unused bits")
        self.stream_refused(b"\0\x1e\0\0\0\0\4", 1, "2^31")
        self.stream_refused(good, 3, "beyond its tensor", size=34)
        self.stream_refused(golomb_rice([(1 << 15, 0)], 15), 1, "too large for its type", width=16)

    def test_rans_rules(self):
        symbols = [(m, 0) for m in (3, 90, 20, 3, 1000)]
        parts = [token_of(*symbol) for symbol in symbols]
        shares = shares_of([token for token, _, _ in parts])
        start = {token: sum(share for other, share in shares.items() if other < token) for token in shares}
        table, (words, extra) = table_bytes(shares), rans_block(parts, shares, start)
        good = assembled(table, [(words, extra)])
        self.assertEqual(good, rans(symbols))
        self.stream_refused(good[:1], 5, "ends in its table")
        self.stream_refused(good[:8], 5, "ends in its table")
        self.stream_refused(good[:len(table) + 3], 5, "ends in its directory")
        self.stream_refused(good, 4097, "ends in its directory" if len(good) < len(table) + 9 else "does not add up")
        self.stream_refused(good[:-1], 5, "does not add up")
        self.stream_refused(good + b"\0", 5, "does not add up")
        self.stream_refused(assembled(table, [(words[:1], extra)]), 5, "without a state")
        self.stream_refused(assembled(table, [([words[0], 0] + words[2:], extra)]), 5, "impossible state")
        self.stream_refused(assembled(table, [(words + [0], extra)]), 5, "end where it should")
        self.stream_refused(good, 4, "end where it should")
        self.stream_refused(good, 6, "end where it should")
        self.stream_refused(assembled(table, [(words, extra + b"\0")]), 5, "extra bits")
        self.stream_refused(assembled(table, [(words, extra[:-1])]), 5, "extra bits")
        self.stream_refused(assembled(table, [(words, extra[:-1] + bytes([extra[-1] | 128]))]), 5, "unused bits")
        self.stream_refused(rans([(3, 1), (4, 0)]), 2, "marked index")
        self.stream_refused(rans([(1 << 15, 0), (4, 0)]), 2, "too large for its type", width=16)
        self.stream_refused(good, 5, "beyond its tensor", size=sum(m + 1 for m, _ in symbols) - 1)

    def test_table_rules(self):
        block = [([0, 1], b"")]
        for table, reason in (
            (bytes([0, 128, 32]), None),
            (bytes([2, 0, 1, 128, 32]), None),
            (bytes([0, 255, 31]), "fit together"),
            (bytes([1, 128, 32]), "fit together"),
            (bytes([1, 128, 32, 0, 0]), "fit together"),
            (bytes([2, 0, 2, 128, 32]), "fit together"),
            (bytes([3, 0, 0, 0, 1, 128, 32]), "zero wrongly"),
            (bytes([1, 129, 0, 255, 31]), "fits in one"),
            (bytes([124, 0, 123, 128, 32]), "2^31"),
            (bytes([252, 0, 251, 128, 32]), "2^31"),
        ):
            data = assembled(table, block)
            if reason is None:
                stream = lota_adapter._Stream(data, 9, "w")
                lota_adapter._decode_blocks([stream])
                self.assertEqual(stream.symbols.tolist(), [table[0]] * 9)
            else:
                self.stream_refused(data, 9, reason)

    def test_a_large_claim_is_refused_before_memory_is_taken(self):
        made = self.small()
        made.tensors["a.weight"].update(trained=(1 << 31) - 1, shape=[(1 << 31) - 1])
        self.refused(made.write(self.folder / "adapter"), made.base)
        with self.assertRaises(AdapterError):
            Adapter(self.folder / "adapter").entries("a.weight")

    def test_configuration_rules(self):
        def edited(edit):
            made = self.small()
            full = made.configuration()
            edit(full)
            made.configuration = lambda: full
            return self.refused(made.write(self.folder / "adapter"), made.base)

        def put(key, value, *path):
            def edit(full):
                for step in path:
                    full = full[step]
                full[key] = value
            return edit

        self.assertIn("not a lota adapter", edited(put("format", "peft")))
        self.assertIn("version 1", edited(put("version", 1)))
        self.assertIn("version '2'", edited(put("version", "2")))
        for key in self.small().configuration():
            edited(lambda full: full.pop(key))
            if key not in ("method",):
                edited(put(key, "x"))
            edited(put(key, None))
        self.assertIn("unknown key", edited(put("more", 1)))
        tensor = ("base_tensors", "a.weight")
        for key in Adapter(self.small().write(self.folder / "adapter")).configuration["base_tensors"]["a.weight"]:
            edited(lambda full: full["base_tensors"]["a.weight"].pop(key))
            edited(put(key, "x", *tensor))
            edited(put(key, True, *tensor))
        self.assertIn("unknown key", edited(put("more", 1, *tensor)))
        for key, value in (("shape", [1 << 16, 1 << 15]), ("shape", [-1, -120]), ("shape", [1.0]), ("shape", [1] * 40),
                           ("trained", 0), ("trained", -1), ("trained", 121), ("sha256", "A" * 64), ("dtype", "F64")):
            edited(put(key, value, *tensor))
        for key, value in (("trained_count", 1), ("scoped_count", 1), ("sparsity", -0.1), ("sparsity", 1.5),
                           ("sparsity", float("nan")), ("training", {"steps": 100}), ("base_tensors", {}),
                           ("base_tensors", []), ("method", "\ud800")):
            edited(put(key, value))

        made = self.small()
        directory = made.write(self.folder / "adapter")
        path = directory / "adapter_config.json"
        text = path.read_bytes()
        for changed in (text.replace(b'"method"', b'"method": "x", "method"'), b"\xef\xbb\xbf" + text,
                        text.decode().encode("utf-16"),
                        b"[" * 100000, b"1" * 10000, b"[]", b"null", text + b"\n"):
            path.write_bytes(changed)
            self.refused(directory, made.base)

    def test_file_rules(self):
        def edited(edit):
            made = self.small()
            edit(made)
            return self.refused(made.write(self.folder / "adapter"), made.base)

        self.assertIn("a.weight is missing", edited(lambda made: made.streams.pop("a.weight.indices")))
        self.assertIn("is no tensor", edited(lambda made: made.extra_records.update({"c": bytes(60)})))
        for key, value in (("format", "x"), ("version", "3"), ("configuration_sha256", "0" * 64), ("more", "1")):
            self.assertIn(key, edited(lambda made: made.extra_metadata.update({key: value})))

        record = self.small().record("a.weight")
        for reason, data in (("ends in its head", record[:51]), ("ends in its head", b""),
                             ("longer than its record", record[:60]),
                             ("longer than its record", record[:48] + b"\xff" * 4 + record[52:]),
                             ("indices do not have", record[:48] + bytes(4) + record[52:]),
                             ("values do not have", record[:-1])):
            self.assertIn(reason, edited(lambda made: made.extra_records.update({"a.weight": data})))

        made = self.small()
        directory = made.write(self.folder / "adapter")
        path = directory / "adapter_model.safetensors"
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header, body = json.loads(data[8:8 + length]), data[8 + length:]
        entry = header["a.weight"]
        count = entry["shape"][0]
        begin, end = entry["data_offsets"]
        for key, value in (("dtype", "I8"), ("dtype", "X8"), ("dtype", 1), ("shape", [count, 1]),
                           ("shape", [count + 1]),
                           ("shape", count), ("data_offsets", [end, begin]), ("data_offsets", [begin, end + 1]),
                           ("data_offsets", [begin - 1, end - 1]), ("data_offsets", [begin]),
                           ("data_offsets", [1 << 62, 1 << 62]),
                           ("more", 1)):
            text = json.dumps({**header, "a.weight": {**entry, key: value}}).encode()
            path.write_bytes(struct.pack("<Q", len(text)) + text + body)
            self.refused(directory, made.base)
        for prefix in (0, 1, length - 1, length + 1, 1 << 63, (1 << 64) - 1):
            path.write_bytes(struct.pack("<Q", prefix) + data[8:])
            self.refused(directory, made.base)

    # Models

    def unchanged(self, made, model, reason, act=Adapter.apply_):
        adapter = Adapter(made.write(self.folder / "adapter"))
        before = {name: np.array(array) for name, array in model.items()}
        with self.assertRaises(AdapterError) as caught:
            act(adapter, model)
        self.assertIn(reason, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        for name, array in model.items():
            np.testing.assert_array_equal(np.array(array), before[name])

    def test_a_model_that_does_not_fit(self):
        made = self.small()
        model = self.copies(made.base)
        last = "b.weight"
        for reason, change in (
            ("not in the model", {last: None}),
            ("shape", {last: model[last].T.copy()}),
            ("float32 in the adapter's base", {last: model[last].astype(np.float64)}),
            ("float32 in the adapter's base", {last: model[last].astype(">u4")}),
            ("list in the model", {last: [1, 2]}),
            ("sha256", {last: model[last] ^ np.uint32(1)}),
            ("sha256", made.trained),
            ("and 1 tensors more", {"a.weight": None, last: None}),
        ):
            changed = {name: array for name, array in {**self.copies(made.base), **change}.items() if array is not None}
            self.unchanged(made, changed, reason)
        frozen = self.copies(made.base)
        frozen[last].flags.writeable = False
        self.unchanged(made, frozen, "read-only")
        with self.assertRaises(AdapterError):
            Adapter(made.write(self.folder / "adapter")).apply_(3)

    def test_removal_checks(self):
        made = self.small()
        self.unchanged(made, self.copies(made.base), "digest differs", Adapter.remove_)
        model = self.copies(made.trained)
        indices, _ = Adapter(made.write(self.folder / "adapter")).entries("b.weight")
        model["b.weight"].reshape(-1)[indices[0]] ^= 1
        self.unchanged(made, model, "digest differs", Adapter.remove_)
        model = self.copies(made.trained)
        frozen = np.setdiff1d(np.arange(120), indices)[0]
        model["b.weight"].reshape(-1)[frozen] ^= 1
        Adapter(made.write(self.folder / "adapter")).remove_(model)
        model["b.weight"].reshape(-1)[frozen] ^= 1
        for name, base in made.base.items():
            np.testing.assert_array_equal(model[name], base)

    def test_records_of_another_adapter(self):
        made, other = self.small(), self.small()
        made.changes["records_sha256"] = other.configuration()["records_sha256"]
        with self.assertRaisesRegex(AdapterError, "another adapter's"):
            Adapter(made.write(self.folder / "adapter"))

    def test_trained_digest_is_checked_when_applying(self):
        made = self.small()
        made.trained_digests["b.weight"] = bytes(16)
        self.unchanged(made, self.copies(made.base), "digest")

    def test_memory_layouts_and_float_arrays(self):
        made = Made()
        for name, dtype in (("a", "F32"), ("b", "F16"), ("c", "BF16")):
            made.add(name, dtype, *random_tensor(self.rng, dtype, (12, 10), 0.3))
        adapter = Adapter(made.write(self.folder / "adapter"))
        model = {"a": np.asfortranarray(made.base["a"]).view(np.float32), "b": made.base["b"].copy().view(np.float16),
                 "c": np.repeat(made.base["c"], 2, axis=1)[:, ::2]}
        adapter.apply_(model)
        for name, array in model.items():
            found = np.ascontiguousarray(array).view(made.trained[name].dtype)
            np.testing.assert_array_equal(found, made.trained[name])
        adapter.remove_(model)
        for name, array in model.items():
            np.testing.assert_array_equal(np.ascontiguousarray(array).view(made.base[name].dtype), made.base[name])

    def test_shared_memory(self):
        made = Made()
        base, trained, indices = random_tensor(self.rng, "F32", (12, 10), 0.3)
        made.add("a", "F32", base, trained, indices).add("b", "F32", base, trained, indices)
        shared = base.copy()
        self.unchanged(made, {"a": shared, "b": shared}, "shares memory")
        repeated = Made().add("a", "F32", np.full((3, 4), 7), np.full((3, 4), 9), np.arange(12))
        broadcast = np.lib.stride_tricks.as_strided(np.full((1, 4), 7, np.uint32), (3, 4), (0, 4))
        self.unchanged(repeated, {"a": broadcast}, "repeats")

    @unittest.skipUnless(torch, "torch is not installed")
    def test_torch(self):
        made = Made()
        model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.Linear(20, 30, bias=False))
        for dtype, kind, signed in ((torch.float32, "F32", torch.int32), (torch.bfloat16, "BF16", torch.int16),
                                    (torch.float16, "F16", torch.int16)):
            model, made = model.to(dtype), Made()
            for name in ("0.weight", "1.weight", "0.bias"):
                base = model.state_dict()[name].view(signed).numpy().view(KIND[kind]).copy()
                trained = base.copy()
                indices = np.arange(0, base.size, 3)
                trained.reshape(-1)[indices] += KIND[kind](3)
                made.add(name, kind, base, trained, indices)
            adapter = Adapter(made.write(self.folder / "adapter"))
            for target in (model, model.state_dict(), dict(model.named_parameters())):
                adapter.verify(target)
                self.assertIs(adapter.apply_(target), target)
                for name, parameter in model.named_parameters():
                    found = parameter.detach().view(signed).numpy().view(KIND[kind])
                    np.testing.assert_array_equal(found, made.trained[name])
                adapter.remove_(target)
                for name, parameter in model.named_parameters():
                    found = parameter.detach().view(signed).numpy().view(KIND[kind])
                    np.testing.assert_array_equal(found, made.base[name])
            state = {name: value.T.contiguous().T if value.dim() == 2 else value
                     for name, value in model.state_dict().items()}
            adapter.apply_(state)
            np.testing.assert_array_equal(state["0.weight"].contiguous().view(signed).numpy().view(KIND[kind]),
                                          made.trained["0.weight"])
            other = torch.bfloat16 if kind == "F32" else torch.float32
            with self.assertRaisesRegex(AdapterError, f"load the model with dtype={dtype}"):
                adapter.apply_({name: value.to(other) for name, value in model.state_dict().items()})
            with self.assertRaisesRegex(AdapterError, "plain memory"):
                adapter.apply_({name: value.to("meta") for name, value in model.state_dict().items()})

    def test_torch_is_not_imported(self):
        made = self.small()
        directory = made.write(self.folder / "adapter")
        script = ("import sys, lota_adapter; a = lota_adapter.Adapter(sys.argv[1]); a.entries('a.weight'); "
                  "assert 'torch' not in sys.modules")
        folder = Path(lota_adapter.__file__).parent
        subprocess.run([sys.executable, "-c", script, str(directory)], check=True, cwd=folder)

    # Command line

    def run_command(self, *arguments):
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = lota_adapter.main([str(argument) for argument in arguments])
        return status, output.getvalue(), errors.getvalue()

    def model_tensors(self, made, patterns):
        tensors = {"odd": ("U8", (3,), b"abc")}
        for name, array in patterns.items():
            tensors[name] = made.tensors[name]["dtype"], array.shape, array.tobytes()
        tensors["norm"] = ("BF16", (2,), b"abcd")
        return tensors

    def write_model(self, directory, tensors, shards):
        directory.mkdir()
        names = sorted(tensors)
        for shard in range(shards):
            name = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            part = {key: tensors[key] for key in names[shard::shards]}
            (directory / name).write_bytes(safetensors_bytes(part, {"format": "pt"}))
        if shards > 1:
            map = {key: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, key in enumerate(names)}
            (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": map}))
        for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
            (directory / name).write_text("{}")
        (directory / "pytorch_model.bin").write_text("other weights")
        (directory / "additional_chat_templates").mkdir()
        (directory / "additional_chat_templates" / "tool.jinja").write_text("x")

    def contents(self, directory):
        paths = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        return {str(path.relative_to(directory)): path.read_bytes() for path in paths}

    def test_command_line_apply_and_remove(self):
        made = self.small()
        adapter = made.write(self.folder / "adapter")
        for shards in (1, 3):
            base, tuned, back = (self.folder / f"{name}{shards}" for name in ("base", "tuned", "back"))
            self.write_model(base, self.model_tensors(made, made.base), shards)
            self.write_model(self.folder / f"expected{shards}", self.model_tensors(made, made.trained), shards)
            self.assertEqual(self.run_command("apply", "--model", base, "--adapter", adapter, "--out", tuned)[0], 0)
            expected = self.contents(self.folder / f"expected{shards}")
            del expected["pytorch_model.bin"]
            self.assertEqual(self.contents(tuned), expected)
            self.assertEqual(self.run_command("remove", "--model", tuned, "--adapter", adapter, "--out", back)[0], 0)
            expected = self.contents(base)
            del expected["pytorch_model.bin"]
            self.assertEqual(self.contents(back), expected)

    def test_command_line_refusals(self):
        made = self.small()
        adapter = made.write(self.folder / "adapter")
        base, out = self.folder / "base", self.folder / "out"
        self.write_model(base, self.model_tensors(made, made.base), 3)
        before = sorted(self.folder.iterdir())

        def refused(*, model=base, out=out, adapter=adapter):
            status, output, errors = self.run_command("apply", "--model", model, "--adapter", adapter, "--out", out)
            self.assertEqual((status, output, errors.count("\n")), (1, "", 1))
            self.assertEqual(sorted(self.folder.iterdir()), before)
            return errors

        self.assertIn("exists already", refused(out=base))
        self.assertIn("neither", refused(model=adapter))
        self.assertIn("cannot be made", refused(out=self.folder / "none" / "out"))
        self.assertIn("cannot be read", refused(adapter=base))
        shard = next(base.glob("*2-of-*.safetensors"))
        data = shard.read_bytes()
        shard.write_bytes(data[:-1])
        refused()
        shard.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
        index = base / "model.safetensors.index.json"
        text = index.read_text()
        index.write_text(text.replace("model-00001", "../model-00001"))
        self.assertIn("own directory", refused())
        index.write_text(text)
        shard.unlink()
        self.assertIn("cannot be read", refused())
        tensors = self.model_tensors(made, made.trained)
        before.append(self.folder / "tuned")
        self.write_model(self.folder / "tuned", tensors, 1)
        before.sort()
        self.assertIn("sha256", refused(model=self.folder / "tuned"))

    def test_command_line_inspect(self):
        directory = self.small().write(self.folder / "adapter")
        status, output, _ = self.run_command("inspect", directory, "--tensors")
        self.assertEqual(status, 0)
        for text in ("sparsity    0.9", "a.weight  BF16  [12, 10]", "bits an entry", "training    seed: 1", "intact"):
            self.assertIn(text, output)
        path = directory / "adapter_model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        status, _, errors = self.run_command("inspect", directory)
        self.assertEqual((status, errors.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
