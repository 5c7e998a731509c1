"""Reads lota adapters, version 2 of the format, and puts them on models (docs/adapter-format.md).

    from lota_adapter import Adapter
    Adapter("runs/sql/adapter").apply_(model)     # model: torch.nn.Module, or a dict of tensors or numpy arrays
    Adapter("runs/sql/adapter").remove_(model)    # the base again, bit for bit (with base= where values are rounded)

    python lota_adapter.py inspect ADAPTER
    python lota_adapter.py apply --model BASE --adapter ADAPTER --out MODEL

Needs numpy. Torch is not imported; its tensors are understood when they are handed in. Everything that can be wrong
with an adapter, or with the model it is put on, raises AdapterError before anything is changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Adapter", "AdapterError"]

CONFIGURATION = "adapter_config.json"
STREAMS = "adapter_model.safetensors"
WIDTH = {"F32": 32, "BF16": 16, "F16": 16}
CODINGS = ("exact", "bfloat16", "int8")
SCALED = 256  # int8 steps that share a scale
TORCH_NAME = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
LARGEST_HEADER = 100_000_000

BLOCK = 4096
GROUP_ENTRIES = 4 << 20  # entries decoded at a time: bounds memory, and is wide enough to hide numpy's cost per call
GROUP_TENSORS = 512
LAST_TOKEN = 123  # its numbers begin at 7 * 2^28; the next token's would not be below 2^31


class AdapterError(ValueError):
    """An adapter, or the model it meets, is not as it should be. One line: where, what, what to do."""


def _fail(where, what, advice):
    raise AdapterError(f"{where}: {what}; {advice}")


def _shown(name):
    return name if name.isprintable() else ascii(name)


# Files


def _json(data, where):
    """Parses UTF-8 JSON (bytes) strictly: no duplicate keys, no NaN, no lone surrogates."""

    def pairs(items):
        result = dict(items)
        if len(result) != len(items):
            raise ValueError("a key occurs twice")
        return result

    def constant(text):
        raise ValueError(f"{text} is not JSON")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
    _fail(where, f"not valid JSON ({_shown(reason)})", "the file is damaged, copy it again")


class _Entry(NamedTuple):
    dtype: str
    shape: tuple
    begin: int  # offset in the file
    end: int


BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
        "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


def _safetensors_header(path):
    """Reads and checks a safetensors header: returns the metadata (dict of str) and a dict of _Entry by name."""
    damaged = "the file is damaged, copy it again"
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            prefix = file.read(8)
            length = int.from_bytes(prefix, "little")
            if len(prefix) < 8 or length > min(size - 8, LARGEST_HEADER):
                _fail(path, "not a complete safetensors file", damaged)
            text = file.read(length)
    except OSError as error:
        _fail(path, f"cannot be read ({error.strerror})", "check the path")
    if len(text) != length or not text.startswith(b"{") or not text.rstrip(b" ").endswith(b"}"):
        _fail(path, "its header is not that of a safetensors file", damaged)
    header = _json(text, path)
    metadata = header.pop("__metadata__", {})
    if type(metadata) is not dict or any(type(value) is not str for value in metadata.values()):
        _fail(path, "its metadata is not an object of strings", damaged)

    entries = {}
    for name, value in header.items():
        where = f"{path}: {_shown(name)}"
        if type(value) is not dict or value.keys() != {"dtype", "shape", "data_offsets"}:
            _fail(where, "its description is not of dtype, shape and data_offsets", damaged)
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if type(dtype) is not str or not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
            _fail(where, "its description is malformed", damaged)
        if dtype not in BITS:
            _fail(where, f"unknown element type {_shown(dtype)}", "a newer reader may know it")
        if offsets[0] > offsets[1] or math.prod(shape) * BITS[dtype] != 8 * (offsets[1] - offsets[0]):
            _fail(where, "its bytes are not as many as its shape asks for", damaged)
        entries[name] = _Entry(dtype, tuple(shape), 8 + length + offsets[0], 8 + length + offsets[1])
    end = 8 + length
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != end:
            _fail(path, "its tensors overlap or leave gaps", damaged)
        end = entry.end
    if end != size:
        _fail(path, f"{size} bytes instead of {end}", damaged)
    return metadata, entries


def _sizes(value):
    """Whether a JSON value is a list of sizes, of no more dimensions than any numpy can hold."""
    return type(value) is list and len(value) <= 32 and all(type(size) is int and 0 <= size < 1 << 63 for size in value)


def _digest(data):
    return hashlib.sha256(data).digest()[:16]


# The configuration


class _Tensor(NamedTuple):
    name: str
    dtype: str
    shape: tuple
    trained: int
    sha256: str


def _configuration(data, where):
    """Parses adapter_config.json (bytes): returns it as a dict, and its tensors as a list of _Tensor."""
    advice = "the file is damaged or not an adapter's, fetch the adapter again"
    value = _json(data, where)
    if type(value) is not dict or value.get("format") != "lota-adapter":
        _fail(where, 'not a lota adapter ("format" is not "lota-adapter")', "name an adapter's directory")
    if type(value.get("version")) is not int or value["version"] != 2:
        _fail(where, f"version {ascii(value.get('version'))} of the format, and this reader knows version 2",
              "take a reader for that version, or make the adapter again")

    def is_hex(digits):
        return lambda text: type(text) is str and re.fullmatch(f"[0-9a-f]{{{digits}}}", text) is not None

    def is_count(number):
        return type(number) is int and 0 <= number < 1 << 63

    def is_text(text):
        return type(text) is str

    def is_error(number):
        return type(number) in (int, float) and 0 <= number < math.inf

    def check(place, found, rules, optional=()):
        rules = {key: rule for key, rule in rules.items() if key in found or key not in optional}
        for key in rules.keys() - found.keys():
            _fail(place, f'"{key}" is missing', advice)
        for key in found.keys() - rules.keys():
            _fail(place, f"unknown key {_shown(key)}", "a newer reader may know it")
        for key, rule in rules.items():
            if not rule(found[key]):
                _fail(place, f'"{key}" is not as the format says', advice)

    check(where, value, {
        "format": is_text, "version": is_count, "method": is_text,
        "sparsity": lambda number: type(number) in (int, float) and 0 <= number <= 1,
        "trained_count": is_count, "scoped_count": is_count, "base_byte_count": is_count,
        "base_fingerprint": is_hex(64), "records_sha256": is_hex(64),
        "training": lambda object: type(object) is dict and all(type(text) is str for text in object.values()),
        "base_tensors": lambda object: type(object) is dict,
        "value_coding": lambda text: text in CODINGS,
        "value_error": lambda object: type(object) is dict,
    }, optional=("value_coding", "value_error"))
    if ("value_error" in value) != (value.setdefault("value_coding", "exact") != "exact"):
        _fail(where, '"value_error" does not fit "value_coding"', advice)
    if "value_error" in value:
        check(f"{where}: value_error", value["value_error"], {"relative_rms": is_error, "maximum": is_error})
    tensors = []
    for name, found in sorted(value["base_tensors"].items()):
        place = f"{where}: {_shown(name)}"
        if type(found) is not dict:
            _fail(place, "its description is not an object", advice)
        check(place, found, {
            "dtype": lambda text: type(text) is str and text in WIDTH,
            "shape": lambda shape: _sizes(shape) and math.prod(shape) < 1 << 31,
            "trained": lambda number: is_count(number) and number >= 1,
            "sha256": is_hex(64),
        })
        tensor = _Tensor(name, **{**found, "shape": tuple(found["shape"])})
        if tensor.trained > math.prod(tensor.shape):
            _fail(place, "more trained weights than weights", advice)
        tensors.append(tensor)
    if sum(tensor.trained for tensor in tensors) != value["trained_count"]:
        _fail(where, '"trained_count" is not the sum of the tensors\' "trained"', advice)
    if value["scoped_count"] < value["trained_count"]:
        _fail(where, '"scoped_count" is below "trained_count"', advice)
    return value, tensors


# Number streams


class _Stream:
    """One number stream: `data` (bytes) with `count` symbols.

    Decoded, it has `symbols` (uint32) and `marks` (bool, or None when no symbol is marked). Golomb-Rice is decoded at
    once, rANS by _decode_blocks.
    """

    def __init__(self, data, count, where):
        self.data, self.count, self.where = data, count, where
        self.symbols = self.marks = None
        if not data or data[0] > 1:
            self.fail("unknown coding" if data else "no bytes")
        self.coding = data[0]
        if self.coding == 0:
            self.decode_golomb_rice()
        else:
            self.parse_blocks(self.parse_table())

    def fail(self, what):
        _fail(self.where, what, "the adapter is damaged or was not written to the format, fetch it again")

    def decode_golomb_rice(self):
        data, count = self.data, self.count
        k = data[1] if len(data) > 1 else self.fail("ends in its parameter")
        if k > 30:
            self.fail(f"Golomb-Rice parameter {k}, and 30 is the largest")
        low_bytes = (count * k + 7) // 8
        if len(data) < 2 + low_bytes + (count + 7) // 8:
            self.fail("too short for its entries")
        bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=2 + low_bytes), bitorder="little")
        ones = np.flatnonzero(bits)
        if len(ones) != count or ones[-1] // 8 + 1 != len(bits) // 8:
            self.fail("does not hold as many numbers as there are entries")
        numbers = np.diff(ones, prepend=-1) - 1
        if int(numbers.max()) >= 1 << (31 - k):
            self.fail("holds a number of 2^31 or more")
        if k > 0:
            if count * k % 8 and data[1 + low_bytes] >> (count * k % 8):
                self.fail("unused bits are not zero")
            numbers <<= k
            numbers |= _bits(data[2:2 + low_bytes], np.arange(count) * k, k)
        self.symbols = numbers.astype(np.uint32)

    def parse_table(self):
        """Reads the shares into `steps` and `tokens`, one for each of the 4096 slots; returns the directory's place."""
        data, at = self.data, 2
        shares = []
        try:
            last = data[1]
            while len(shares) <= last:
                share, at = data[at], at + 1
                if share == 0:
                    if shares and shares[-1] == 0:
                        self.fail("its table counts shares of zero wrongly")
                    shares += [0] * (1 + data[at])
                    at += 1
                    continue
                if share >= 128:
                    share, at = share & 127 | data[at] << 7, at + 1
                    if share < 128:
                        self.fail("its table has a share in two bytes that fits in one")
                shares.append(share)
        except IndexError:
            self.fail("ends in its table")
        if len(shares) != last + 1 or shares[-1] == 0 or sum(shares) != BLOCK:
            self.fail("the shares of its table do not fit together")
        if any(share and token & 127 > LAST_TOKEN for token, share in enumerate(shares)):
            self.fail("its table has a token for numbers of 2^31 or more")
        shares = np.array(shares, np.uint32)
        start = np.repeat(np.cumsum(shares, dtype=np.uint32) - shares, shares)
        self.steps = np.repeat(shares, shares) << 12 | (np.arange(BLOCK, dtype=np.uint32) - start)
        self.tokens = np.repeat(np.arange(last + 1, dtype=np.uint8), shares)
        return at

    def parse_blocks(self, at):
        """Cuts the stream by its directory: `counts` (symbols of each block), `words` and `extra` (bytes of each)."""
        data, blocks = self.data, (self.count + BLOCK - 1) // BLOCK
        if len(data) - at < 4 * blocks:
            self.fail("ends in its directory")
        directory = np.frombuffer(data, "<u2", 2 * blocks, at).reshape(blocks, 2).astype(np.int64)
        at += 4 * blocks
        if at + int(2 * directory[:, 0].sum() + directory[:, 1].sum()) != len(data):
            self.fail("its directory does not add up to its length")
        if int(directory[:, 0].min()) < 2:
            self.fail("has a block without a state")
        self.counts = [BLOCK] * (blocks - 1) + [self.count - BLOCK * (blocks - 1)]
        self.words, self.extra = [], []
        for words, extra in directory.tolist():
            self.words.append(data[at:at + 2 * words])
            self.extra.append(data[at + 2 * words:at + 2 * words + extra])
            at += 2 * words + extra

    def finish(self, tokens):
        """Joins the tokens (uint8, one for each symbol) with the extra bits."""
        symbols, widths = TOKEN_NUMBER[tokens], TOKEN_WIDTH[tokens]
        wide = np.flatnonzero(widths)
        widths = widths[wide].astype(np.int64)
        ends = np.concatenate(([0], np.cumsum(widths)))
        edges = ends[np.searchsorted(wide, np.arange(len(self.extra) + 1) * BLOCK)]
        used = np.diff(edges)
        sizes = np.array([len(extra) for extra in self.extra], np.int64)
        if not np.array_equal((used + 7) // 8, sizes):
            self.fail("its extra bits are not as many as its numbers need")
        for extra, bits in zip(self.extra, used.tolist()):
            if bits % 8 and extra[-1] >> (bits % 8):
                self.fail("unused bits are not zero")
        shift = 8 * (np.cumsum(sizes) - sizes) - edges[:-1]
        symbols[wide] += _bits(b"".join(self.extra), ends[:-1] + shift[wide // BLOCK], widths).astype(np.uint32)
        self.symbols = symbols
        if int(tokens.max()) >= 128:
            self.marks = tokens >= 128
        self.words = self.extra = None


class _Record:
    """One tensor's record, its digests checked: `streams` (indices, values) and `trained_digest` (16 bytes).

    `largest` (int) and `scales` (float32) are what stands before the values' stream, with coding bfloat16 and int8.
    """

    def __init__(self, data, count, coding, where):
        again = "the adapter is damaged, fetch it again"
        if len(data) < 52:
            _fail(where, "its record ends in its head", again)
        values = 52 + int.from_bytes(data[48:52], "little")
        if values > len(data):
            _fail(where, "its indices are longer than its record", again)
        if _digest(data[16:values]) != data[:16]:
            _fail(where, "its indices do not have their digest", again)
        if _digest(data[values:]) != data[16:32]:
            _fail(where, "its values do not have their digest", again)
        self.trained_digest = data[32:48]
        before = {"exact": 0, "bfloat16": 2, "int8": 4 * ((count + SCALED - 1) // SCALED)}[coding]
        if len(data) - values < before:
            _fail(f"{where}: values", "too short for their scales", again)
        if coding == "bfloat16":
            self.largest = int.from_bytes(data[values:values + 2], "little")
        elif coding == "int8":
            self.scales = np.frombuffer(data, "<f4", before // 4, values)
        self.coding = coding
        self.streams = (_Stream(data[52:values], count, f"{where}: indices"),
                        _Stream(data[values + before:], count, f"{where}: values"))
        self.sizes = values - 52, len(data) - values

    def values(self, width):
        """Differences of bit patterns (uint32 or uint16), or where the coding is lossy updates (float32)."""
        stream = self.streams[1]
        if self.coding == "exact":
            return _differences(stream, width)
        if stream.marks is not None:
            stream.fail("has a marked update")
        m = stream.symbols
        if self.coding == "bfloat16":
            if self.largest >= 0x7F80 or int(m.max()) >> 1 > self.largest:
                stream.fail("has an update that is no finite bfloat16")
            return ((self.largest - (m >> 1)) << 16 | m << 31).view(np.float32)
        bits = self.scales.view("<u4")
        with np.errstate(over="ignore", invalid="ignore"):
            largest = self.scales * np.float32(127)
        if int(m.max()) > 254 or int(bits.max()) >> 31 or not np.isfinite(largest).all():
            stream.fail("has a step beyond 127 or an impossible scale")
        steps = ((m >> 1) ^ (0 - (m & 1))).view(np.int32).astype(np.float32)
        return np.repeat(self.scales, SCALED)[:len(steps)] * steps


def _token_tables():
    number, width = np.zeros(256, np.uint32), np.zeros(256, np.uint8)
    for token in range(LAST_TOKEN + 1):
        bits = 0 if token < 16 else (token - 16) // 4 + 2
        number[[token, token + 128]] = token if token < 16 else (4 | token & 3) << bits
        width[[token, token + 128]] = bits
    return number, width


TOKEN_NUMBER, TOKEN_WIDTH = _token_tables()


def _bits(data, positions, widths):
    """Numbers (int64) at bit `positions` (int64) of `data` (bytes), of `widths` bits each (int or int64; below 57)."""
    data = data + bytes(8)
    windows = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    numbers = windows[positions >> 3] >> (positions & 7).astype(np.uint64)
    return numbers.astype(np.int64) & ((1 << widths) - 1)


def _decode_blocks(streams):
    """Decodes the rANS blocks of all streams side by side: a lane a block, one step for the next symbol of each."""
    lanes = [(stream, block) for stream in range(len(streams)) for block in range(len(streams[stream].counts))]
    counts = np.array([count for stream in streams for count in stream.counts], np.int64)
    order = np.argsort(-counts, kind="stable")  # so that the lanes still running are the first ones
    counts, lanes = counts[order], [lanes[lane] for lane in order.tolist()]
    sizes = np.array([len(streams[stream].words[block]) // 2 for stream, block in lanes], np.int64)
    words = np.frombuffer(b"".join(streams[stream].words[block] for stream, block in lanes), "<u2")
    ends = np.cumsum(sizes)
    first = ends - sizes
    state = words[first].astype(np.uint32) | words[first + 1].astype(np.uint32) << 16
    for lane in np.flatnonzero(state < 65536)[:1].tolist():
        streams[lanes[lane][0]].fail("a block begins with an impossible state")
    following = first + 2
    table = np.array([stream for stream, _ in lanes], np.int64) * BLOCK
    steps = np.concatenate([stream.steps for stream in streams])
    slot_tokens = np.concatenate([stream.tokens for stream in streams])

    longest = int(counts[0])
    tokens = np.empty((len(lanes), longest), np.uint8)
    chunk = np.empty((64, len(lanes)), np.uint8)  # tokens of 64 steps, so that `tokens` is not written byte by byte
    running = np.searchsorted(-counts, -np.arange(longest), side="left").tolist()  # lanes with more than `step` symbols
    active = 0
    for step in range(longest):
        if running[step] != active:
            active = running[step]
            now, offset, slot = state[:active], table[:active], np.empty(active, np.uint32)
            place, found, low = np.empty(active, np.int64), np.empty(active, np.uint32), np.empty(active, bool)
        np.bitwise_and(now, 4095, out=slot)
        np.add(slot, offset, out=place)
        steps.take(place, out=found, mode="clip")
        slot_tokens.take(place, out=chunk[step % 64, :active], mode="clip")
        now >>= 12
        np.right_shift(found, 12, out=slot)
        now *= slot
        found &= 4095
        now += found
        np.less(now, 65536, out=low)
        renewed = low.nonzero()[0]
        position = following.take(renewed)
        refill = now.take(renewed) << 16
        refill |= words.take(position, mode="clip")  # a position outside the block shows at its end
        now[renewed] = refill
        following[renewed] = position + 1
        if step % 64 == 63 or step == longest - 1:
            begin = step - step % 64
            tokens[:, begin:step + 1] = chunk[:step + 1 - begin].T
    for lane in np.flatnonzero((state != 65536) | (following != ends))[:1].tolist():
        streams[lanes[lane][0]].fail("a block does not end where it should")

    rows = np.empty(len(lanes), np.int64)
    rows[order] = np.arange(len(lanes))
    at = 0
    for stream in streams:
        mine = rows[at:at + len(stream.counts)]
        at += len(stream.counts)
        parts = [tokens[mine[0]:mine[0] + len(mine) - 1].reshape(-1), tokens[mine[-1], :stream.counts[-1]]]
        stream.finish(np.concatenate(parts))


def _indices(stream, size):
    """Indices (uint32, ascending, below `size`) from a decoded stream."""
    if stream.marks is not None:
        stream.fail("has a marked index")
    indices = np.cumsum(stream.symbols, dtype=np.int64)
    indices += np.arange(stream.count)
    if int(indices[-1]) >= size:
        stream.fail("has an index beyond its tensor")
    return indices.astype(np.uint32)


def _differences(stream, width):
    """Differences of bit patterns (uint32 or uint16, as `width` says) from a decoded stream."""
    m = stream.symbols
    if int(m.max()) >= 1 << (width - 1):
        stream.fail("has a number too large for its type")
    differences = (m >> 1) ^ (0 - (m & 1))
    if stream.marks is not None:
        differences += stream.marks.astype(np.uint32) << (width - 1)
    return differences.astype(np.uint32 if width == 32 else np.uint16)


def _trained(base, values, dtype, coding):
    """Trained patterns from the base's (of one kind, uint32 or uint16) and the values that _Record.values gives."""
    if coding == "exact":
        return base + values
    if dtype == "F32":
        return (base.view(np.float32) + values).view(np.uint32)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == "F16":
            return (base.view(np.float16).astype(np.float32) + values).astype(np.float16).view(np.uint16)
        bits = ((base.astype(np.uint32) << 16).view(np.float32) + values).view(np.uint32)
        return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)


# Models


class _Weight:
    """A tensor of a model as bit patterns: `array` shares the model's memory, or is None for a tensor on a device."""

    def __init__(self, name, array, tensor=None):
        self.name, self.array, self.tensor = name, array, tensor

    def read(self):
        """Row-major patterns (uint32 or uint16, one dimension); may share the model's memory."""
        if self.array is not None:
            return np.ascontiguousarray(self.array).reshape(-1)
        return _torch_array(self.tensor.detach().cpu()).reshape(-1)

    def write(self, indices, patterns):
        """Sets the patterns at row-major `indices`."""
        if self.array is None:
            torch = sys.modules["torch"]
            copy = self.tensor.detach().cpu().contiguous()
            _torch_array(copy).reshape(-1)[indices] = patterns
            with torch.no_grad():
                self.tensor.copy_(copy)
        elif self.array.flags.c_contiguous:
            self.array.reshape(-1)[indices] = patterns
        else:
            self.array[np.unravel_index(indices, self.array.shape)] = patterns


def _torch_array(tensor):
    torch = sys.modules["torch"]
    signed = {4: torch.int32, 2: torch.int16}[tensor.element_size()]
    return tensor.detach().view(signed).numpy().view(f"<u{tensor.element_size()}")


def _weight(value, tensor, writes):
    """Wraps a model's tensor or array as a _Weight, or returns, as a string, what is wrong with it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        found, wanted = str(value.dtype).replace("torch.", ""), TORCH_NAME[tensor.dtype]
        if found != wanted:
            return f"{found} in the model and {wanted} in the adapter's base; load the model with dtype=torch.{wanted}"
        if value.layout is not torch.strided or value.device.type == "meta":
            return "has no plain memory; load the model without sparse, quantised or meta tensors"
        on_host, shape = value.device.type == "cpu", tuple(value.shape)
        weight = _Weight(tensor.name, _torch_array(value) if on_host else None, value)
    elif isinstance(value, np.ndarray):
        found, wanted, width = value.dtype, TORCH_NAME[tensor.dtype], WIDTH[tensor.dtype] // 8
        if found.name not in (wanted, f"uint{8 * width}") or not found.isnative:
            return f"{found} in the model and {wanted} in the adapter's base; load the model as {wanted}"
        shape = value.shape
        weight = _Weight(tensor.name, value.view(np.ndarray).view(f"<u{width}"))
    else:
        return f"{type(value).__name__} in the model; hand in torch tensors or numpy arrays"
    if shape != tensor.shape:
        return f"shape {list(shape)} in the model and {list(tensor.shape)} in the adapter; take its base model"
    if writes and weight.array is not None:
        if not weight.array.flags.writeable:
            return "is read-only; hand in a copy"
        if any(stride == 0 and size > 1 for stride, size in zip(weight.array.strides, shape)):
            return "repeats its own memory; hand in a copy"
    return weight


# Adapters


class Adapter:
    """An adapter on disk. Opening it checks both files but for the records, which are checked when they are read.

    configuration: adapter_config.json as a dict.
    tensor_names: names (list of str, sorted) of the base tensors it changes.
    """

    def __init__(self, directory):
        """Raises AdapterError when the directory is not an intact adapter of version 2."""
        self.directory = Path(directory)
        path = self.directory / CONFIGURATION
        try:
            data = path.read_bytes()
        except OSError as error:
            _fail(path, f"cannot be read ({error.strerror})", "name an adapter's directory")
        self.configuration, tensors = _configuration(data, path)
        self._tensors = {tensor.name: tensor for tensor in tensors}
        self.tensor_names = list(self._tensors)

        self._path = self.directory / STREAMS
        metadata, self._entries = _safetensors_header(self._path)
        again = "fetch the adapter again, both of its files"
        for name in sorted(self._tensors.keys() - self._entries.keys()):
            _fail(self._path, f"{_shown(name)} is missing", again)
        for name in sorted(self._entries.keys() - self._tensors.keys()):
            _fail(self._path, f"{_shown(name)} is no tensor of {CONFIGURATION}", again)
        for name, entry in self._entries.items():
            if entry.dtype != "U8" or len(entry.shape) != 1:
                _fail(self._path, f"{_shown(name)} is not U8 of one dimension", again)
        expected = {"format": "lota-adapter", "version": "2", "configuration_sha256": hashlib.sha256(data).hexdigest()}
        for key in sorted(expected.keys() | metadata.keys()):
            if metadata.get(key) != expected.get(key):
                _fail(self._path, f"{_shown(key)} in its metadata does not fit {CONFIGURATION}", again)
        self._check_records(again)

    def _check_records(self, again):
        """Compares the digests that lead all records with the configuration's digest over them."""
        leading = hashlib.sha256()
        try:
            with open(self._path, "rb") as file:
                for name in sorted(self._entries, key=lambda name: name.encode("utf-8")):
                    file.seek(self._entries[name].begin)
                    leading.update(file.read(min(32, self._entries[name].end - self._entries[name].begin)))
        except OSError as error:
            _fail(self._path, f"cannot be read ({error.strerror})", "check the path")
        if leading.hexdigest() != self.configuration["records_sha256"]:
            _fail(self._path, f"its records are damaged or another adapter's (records_sha256 of {CONFIGURATION} differs)", again)

    def entries(self, name, base=None):
        """Reads one tensor's entries.

        base: as for apply_; needed where the adapter's value coding is lossy.
        Returns (indices, differences): row-major indices, int64, ascending; and differences of bit patterns modulo
        2^width, uint32 for F32 and uint16 for BF16 and F16, of the same length.
        Raises AdapterError when the adapter does not change the tensor, its record is damaged, or the base is another.
        """
        if name not in self._tensors:
            _fail(self.directory, f"{_shown(str(name))} is not changed by this adapter", "see tensor_names")
        if self._is_lossy:
            self._need(base)
            [(weight, indices, trained)] = self._applied(self._matched(base, writes=False, names=[name]))
            return indices.astype(np.int64), trained - weight.read()[indices]
        [(_, _, indices, differences)] = self._decoded([self._tensors[name]])
        return indices.astype(np.int64), differences

    @property
    def _is_lossy(self):
        return self.configuration["value_coding"] != "exact"

    def _need(self, base):
        if base is None:
            _fail(self.directory, f"holds {self.configuration['value_coding']} updates, which say nothing without the "
                  "base model", "hand it in as base")

    def verify(self, model):
        """Checks that the adapter is intact and that `model` (as for apply_) holds its base; changes nothing.

        Raises AdapterError otherwise.
        """
        for _ in self._applied(self._matched(model, writes=False)):
            pass

    def apply_(self, model):
        """Puts the adapter on `model`, in place, and returns it.

        model: a torch.nn.Module, or a dict from tensor names to torch tensors (any device) or numpy arrays, in the
        base's dtype; bfloat16 arrays are those of ml_dtypes, or uint16 bit patterns. Other tensors are not looked at.
        Raises AdapterError, and changes nothing, when the adapter is damaged or the model is not its base.
        """
        self._write(list(self._applied(self._matched(model, writes=True))))
        return model

    def remove_(self, model, base=None):
        """Takes the adapter off `model` (as for apply_), in place, and returns it.

        base: the base model, as for apply_; needed where the adapter's value coding is lossy, not looked at elsewhere.
        The adapter's weights are the base's again, bit for bit; all others stay, those of further adapters too.
        Raises AdapterError, and changes nothing, when the adapter is damaged or the model does not hold its weights.
        """
        bases = None
        if self._is_lossy:
            self._need(base)
            bases = self._matched(base, writes=False)
        self._write(list(self._removed(self._matched(model, writes=True), bases)))
        return model

    def _matched(self, model, writes, names=None):
        """Finds the adapter's tensors, or those of `names`, in a model: returns a dict of _Weight by name."""
        if not isinstance(model, Mapping):
            if not hasattr(model, "state_dict"):
                _fail(type(model).__name__, "not a model", "hand in a torch.nn.Module or a state dict")
            model = model.state_dict()
        weights, problems = {}, []
        for name in self._tensors if names is None else names:
            tensor = self._tensors[name]
            missing = "not in the model; take the adapter's base model"
            weight = _weight(model[name], tensor, writes) if name in model else missing
            if isinstance(weight, str):
                problems.append(f"{_shown(name)}: {weight}")
            weights[name] = weight
        if problems:
            raise AdapterError(problems[0] + (f" (and {len(problems) - 1} tensors more)" if problems[1:] else ""))
        if writes:
            spans = sorted((_address(weight), weight.name) for weight in weights.values())
            for (before, one), (after, other) in zip(spans, spans[1:]):
                if before[:2] == after[:2] and after[2] < before[3]:
                    _fail(_shown(other), f"shares memory with {_shown(one)}, and the adapter changes both",
                          "load the model without tied weights")
        return weights

    def _applied(self, weights):
        """Checks base tensors and yields (weight, indices, trained patterns)."""
        for tensor, record, indices, values in self._decoded([self._tensors[name] for name in weights]):
            weight = weights[tensor.name]
            base = self._checked_base(weight, tensor)[indices]
            trained = _trained(base, values, tensor.dtype, record.coding)
            if _digest(trained) != record.trained_digest:
                _fail(f"{self._path}: {_shown(tensor.name)}", "its trained weights do not have their digest",
                      "the adapter is damaged, fetch it again")
            yield weight, indices, trained

    def _removed(self, weights, bases):
        """Checks trained tensors, and base tensors where there are any; yields (weight, indices, base patterns)."""
        for tensor, record, indices, values in self._decoded(self._tensors.values()):
            weight = weights[tensor.name]
            trained = weight.read()[indices]
            if _digest(trained) != record.trained_digest:
                _fail(_shown(tensor.name), "does not hold this adapter's trained weights (their digest differs)",
                      "remove an adapter from a model it was applied to")
            yield weight, indices, (trained - values if bases is None
                                    else self._checked_base(bases[tensor.name], tensor)[indices])

    def _checked_base(self, weight, tensor):
        base = weight.read()
        if hashlib.sha256(base).hexdigest() != tensor.sha256:
            _fail(_shown(tensor.name), "not the tensor this adapter was trained on (its sha256 differs)",
                  "load the unchanged base model, without other adapters")
        return base

    def _write(self, changes):
        for weight, indices, patterns in changes:
            weight.write(indices, patterns)

    def _decoded(self, tensors):
        """Yields (_Tensor, _Record, indices as uint32, values as _Record.values) of each tensor, decoding many at a time."""
        group, entries = [], 0
        for tensor in tensors:
            if group and (entries + tensor.trained > GROUP_ENTRIES or len(group) == GROUP_TENSORS):
                yield from self._decoded_group(group)
                group, entries = [], 0
            group.append(tensor)
            entries += tensor.trained
        yield from self._decoded_group(group)

    def _decoded_group(self, tensors):
        try:
            with open(self._path, "rb") as file:
                records = [self._record(file, tensor) for tensor in tensors]
            coded = [stream for record in records for stream in record.streams if stream.symbols is None]
            if coded:
                _decode_blocks(coded)
        except OSError as error:
            _fail(self._path, f"cannot be read ({error.strerror})", "check the file")
        except MemoryError:
            _fail(self._path, "more entries than memory holds", "use a machine with more memory")
        for tensor, record in zip(tensors, records):
            indices, values = record.streams
            yield tensor, record, _indices(indices, math.prod(tensor.shape)), record.values(WIDTH[tensor.dtype])
            indices.symbols = values.symbols = values.marks = None

    def _record(self, file, tensor):
        entry = self._entries[tensor.name]
        file.seek(entry.begin)
        return _Record(file.read(entry.end - entry.begin), tensor.trained, self.configuration["value_coding"],
                       f"{self._path}: {_shown(tensor.name)}")


def _address(weight):
    """Where a weight lies: device, whether it fills its span, and the span's first and last byte."""
    if weight.array is None:
        tensor = weight.tensor
        device, begin, dense = str(tensor.device), tensor.data_ptr(), tensor.is_contiguous()
        size = tensor.numel() * tensor.element_size()
    else:
        device, begin, dense = "cpu", weight.array.__array_interface__["data"][0], weight.array.flags.c_contiguous
        size = weight.array.nbytes
    return device, dense, begin, begin + (size if dense else 1)


# Model directories

OTHER_WEIGHTS = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5",
                 ".msgpack", ".gguf", ".onnx", ".npz")


def _shards(model):
    """Names of the safetensors files of a model directory (Path)."""
    if (model / "model.safetensors").is_file():
        return ["model.safetensors"]
    path = model / "model.safetensors.index.json"
    try:
        index = _json(path.read_bytes(), path)
    except OSError:
        _fail(model, "holds neither model.safetensors nor model.safetensors.index.json", "name a model's directory")
    files = index.get("weight_map") if type(index) is dict else None
    files = list(files.values()) if type(files) is dict else [None]
    if not all(type(name) is str and re.fullmatch(r"[^/\\\0]+\.safetensors", name) for name in files):
        _fail(path, "not an index of safetensors files in its own directory", "the file is damaged, copy it again")
    return sorted(set(files))


def _places(model, adapter):
    """Where the tensors of a model directory (Path) lie: returns its shards, and (shard, _Entry) by name.

    Those the adapter changes must be as it says.
    """
    shards = _shards(model)
    places = {}
    for shard in shards:
        for name, entry in _safetensors_header(model / shard)[1].items():
            if name in places:
                _fail(model / shard, f"{_shown(name)} is in another shard as well", "fetch the model again")
            places[name] = shard, entry
    for name, tensor in adapter._tensors.items():
        if name not in places:
            _fail(model, f"{_shown(name)} is missing", "take the adapter's base model")
        entry = places[name][1]
        if (entry.dtype, entry.shape) != (tensor.dtype, tensor.shape):
            _fail(model, f"{_shown(name)} is {entry.dtype} {list(entry.shape)} and the adapter is for "
                  f"{tensor.dtype} {list(tensor.shape)}", "take the adapter's base model")
    return shards, places


def _state(directory, places, adapter, mode):
    """The adapter's tensors as patterns in mapped files, and the maps."""
    maps = {shard: np.memmap(directory / shard, np.uint8, mode) for shard in {shard for shard, _ in places.values()}}
    state = {}
    for name, tensor in adapter._tensors.items():
        shard, entry = places[name]
        patterns = maps[shard][entry.begin:entry.end].view(f"<u{WIDTH[tensor.dtype] // 8}")
        state[name] = patterns.reshape(tensor.shape)
    return state, maps


def _base_state(directory, adapter):
    """The adapter's tensors in a base model's directory, or None where there is no directory."""
    if directory is None:
        return None
    _, places = _places(Path(directory), adapter)
    try:
        return _state(Path(directory), places, adapter, "r")[0]
    except OSError as error:
        _fail(directory, f"cannot be read ({error.strerror})", "check the path")


def _changed_model(model, adapter, out, change):
    """Copies a model directory to `out`, calling `change(adapter, state dict)` on the copy before `out` appears."""
    model, out = Path(model), Path(out)
    if os.path.lexists(out):
        _fail(out, "exists already", "name a new directory")
    shards, places = _places(model, adapter)

    index = None if shards == ["model.safetensors"] else "model.safetensors.index.json"
    partial = out.parent / f".{out.name}.partial-{os.getpid()}"
    try:
        partial.mkdir()
    except OSError as error:
        _fail(partial, f"cannot be made ({error.strerror})", "check the path")
    try:
        for path in sorted(model.iterdir()):
            kept = path.name in shards or path.name == index or not path.name.endswith(OTHER_WEIGHTS)
            if path.is_file() and not path.name.startswith(".") and kept:
                shutil.copyfile(path, partial / path.name)
            elif path.is_dir() and path.name == "additional_chat_templates":
                shutil.copytree(path, partial / path.name)
        state, maps = _state(partial, places, adapter, "r+")
        change(adapter, state)
        for map in maps.values():
            map.flush()
        os.rename(partial, out)
    except OSError as error:
        _fail(out, f"cannot be written ({error.strerror})", "check the path and the space left")
    finally:
        shutil.rmtree(partial, ignore_errors=True)


# Command line


def _inspect(adapter, all_tensors):
    configuration, rows, totals = adapter.configuration, [], [0, 0]
    for tensor, record, _, _ in adapter._decoded(adapter._tensors.values()):
        row = [f"{_shown(tensor.name)}  {tensor.dtype}  {list(tensor.shape)}  {tensor.trained} entries"]
        for which, part in enumerate(("indices", "values")):
            coding = ("Golomb-Rice", "rANS")[record.streams[which].coding]
            totals[which] += record.sizes[which]
            row.append(f"{part} {8 * record.sizes[which] / tensor.trained:.2f} bits {coding}")
        rows.append("  ".join(row))
    count = configuration["trained_count"]
    print(f"method      {_shown(configuration['method'])}")
    print(f"sparsity    {configuration['sparsity']}")
    print(f"entries     {count} of {configuration['scoped_count']} in {len(rows)} tensors")
    error = configuration.get("value_error")
    print(f"coding      {configuration['value_coding']}" + (
        f" updates, error {error['relative_rms']:.3g} of their norm, largest {error['maximum']:.3g}" if error else ""))
    print(f"base        {configuration['base_byte_count']} bytes, fingerprint {configuration['base_fingerprint']}")
    for part, total in zip(("indices", "values"), totals):
        print(f"{part:<11} {total} bytes, {8 * total / max(1, count):.3f} bits an entry")
    for key, value in sorted(configuration["training"].items()):
        print(f"training    {_shown(key)}: {_shown(value)}")
    for row in rows if all_tensors else []:
        print(row)
    print("intact: all records decode and have their digests")


def main(arguments=None):
    """The command line. Returns the exit status; errors go to standard error as one line."""
    parser = argparse.ArgumentParser(description="Reads lota adapters and puts them on models.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    inspect = verbs.add_parser("inspect", help="what an adapter holds, and whether it is intact")
    inspect.add_argument("adapter", metavar="DIR")
    inspect.add_argument("--tensors", action="store_true", help="one line for each tensor as well")
    for verb, text in (("apply", "write the model that a base becomes with an adapter"),
                       ("remove", "write the base of a model that an adapter was applied to")):
        change = verbs.add_parser(verb, help=text)
        for option in ("--model", "--adapter", "--out"):
            change.add_argument(option, required=True, metavar="DIR")
        if verb == "remove":
            change.add_argument("--base", metavar="DIR", help="the base, for adapters with rounded updates")
    options = parser.parse_args(arguments)
    try:
        adapter = Adapter(options.adapter)
        if options.verb == "inspect":
            _inspect(adapter, options.tensors)
        else:
            change = Adapter.apply_
            if options.verb == "remove":
                base = _base_state(options.base, adapter)
                change = lambda adapter, state: adapter.remove_(state, base=base)
            _changed_model(options.model, adapter, options.out, change)
            print(f"wrote {options.out}")
    except AdapterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
