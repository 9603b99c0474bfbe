#!/usr/bin/env python3
"""Writes tests/golden/megatron: token files laid out as the IndexedDatasetBuilder of Megatron-LM
lays them out (megatron/core/datasets/indexed_dataset.py, version 1), and what they hold as JSON.

By hand only: python3 tests/golden/make_megatron_golden.py. Standard library alone. Independent of
Autarky: sequences and documents are made as a user of the builder would make them, several
sequences to a document (as its option --split-sentences does), and empty ones.
"""
import json
import pathlib
import random
import struct

CODES = {"uint16": (8, "H"), "int32": (4, "i")}


class Builder:
    def __init__(self, prefix, dtype):
        self.prefix, (self.code, self.item) = prefix, CODES[dtype]
        self.data, self.lengths, self.documents = b"", [], [0]

    def add_item(self, tokens):
        self.data += struct.pack(f"<{len(tokens)}{self.item}", *tokens)
        self.lengths.append(len(tokens))

    def end_document(self):
        self.documents.append(len(self.lengths))

    def finalize(self):
        n, m, size = len(self.lengths), len(self.documents), struct.calcsize(self.item)
        pointers, at = [], 0
        for length in self.lengths:
            pointers.append(at)
            at += length * size
        index = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, self.code, n, m)
        index += struct.pack(f"<{n}i", *self.lengths)
        index += struct.pack(f"<{n}q", *pointers)
        index += struct.pack(f"<{m}q", *self.documents)
        pathlib.Path(f"{self.prefix}.bin").write_bytes(self.data)
        pathlib.Path(f"{self.prefix}.idx").write_bytes(index)


def make(folder, dtype, vocab, seed):
    rng = random.Random(seed)
    builder = Builder(folder / dtype, dtype)
    documents = []
    for document in range(12):
        documents.append([])
        for _ in range(rng.randrange(0 if document == 5 else 1, 4)):
            tokens = [rng.randrange(vocab) for _ in range(rng.randrange(9))]
            builder.add_item(tokens)
            documents[-1].append(tokens)
        builder.end_document()
    builder.finalize()
    return documents


def main():
    folder = pathlib.Path(__file__).parent / "megatron"
    folder.mkdir(exist_ok=True)
    expected = {"uint16": make(folder, "uint16", 65500, 1), "int32": make(folder, "int32", 250000, 2)}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
