#!/usr/bin/env python3
"""Writes testdata/model: a small model of our own, the same bytes on every run.

A character bigram language model: it counts which character follows which in
the text below, smooths the counts and stores their logarithms as a safetensors
file. Pure Python, no dependencies, no random numbers.

    python3 testdata/make-model.py            writes testdata/model
    python3 testdata/make-model.py --check    exits 1 when a file there differs
    python3 testdata/make-model.py --say 120  writes and lets the model speak
"""

import json
import math
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "model"

TEXT = """
a key that never leaves its vault can still speak for the one who keeps it.
it signs the bytes it is shown, and says nothing of what they are worth.
so first we name the thing: every file, every byte, and one digest over all of them.
then we say who built it, from what, and when, and sign that too.
a promise is checked where it matters: at the gate, and again at the door.
what is changed by a single bit is another thing, and another thing was never signed.
if the register cannot be reached we do not guess, we wait.
if the key was withdrawn, what it signed before may stand, and what it signed after must fall.
a model is data as long as it carries no code; a pickle is a program that calls itself data.
trust is a list of names that somebody wrote down on purpose.
"""

ALPHABET = ["<unk>", "<s>"] + sorted(set(" .,;:'-abcdefghijklmnopqrstuvwxyz0123456789\n"))
INDEX = {c: i for i, c in enumerate(ALPHABET)}
SIZE = len(ALPHABET)
DIM = 32


def ids(text):
    return [INDEX["<s>"]] + [INDEX.get(c, 0) for c in text]


def counts():
    table = [[0] * SIZE for _ in range(SIZE)]
    for line in TEXT.strip().splitlines():
        line_ids = ids(line + "\n")
        for a, b in zip(line_ids, line_ids[1:]):
            table[a][b] += 1
    return table


def logits(table):
    # Rounded before packing, so that the last bit of a platform's log() does not count.
    rows = []
    for row in table:
        total = sum(row) + 0.05 * SIZE
        rows.append([round(math.log((n + 0.05) / total), 5) for n in row])
    return rows


def embedding(table):
    # Two characters are near when the same characters follow them: cosine features folded to DIM columns.
    rows = []
    for row in table:
        norm = math.sqrt(sum(n * n for n in row)) or 1.0
        folded = [0.0] * DIM
        for j, n in enumerate(row):
            folded[j % DIM] += n / norm
        rows.append([round(x * 256) / 256 for x in folded])
    return rows


def flat(rows):
    return [x for row in rows for x in row]


def safetensors(tensors, metadata):
    header, body = {"__metadata__": metadata}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def build():
    table = counts()
    total = sum(map(sum, table))
    unigram = [round((sum(r[i] for r in table)) / total, 6) for i in range(SIZE)]
    tensors = {
        "bigram.weight": ("F32", [SIZE, SIZE], struct.pack(f"<{SIZE * SIZE}f", *flat(logits(table)))),
        "embedding.weight": ("F16", [SIZE, DIM], struct.pack(f"<{SIZE * DIM}e", *flat(embedding(table)))),
        "unigram.bias": ("F32", [SIZE], struct.pack(f"<{SIZE}f", *unigram)),
    }
    config = {
        "architectures": ["CharBigramLM"],
        "model_type": "char-bigram",
        "vocab_size": SIZE,
        "hidden_size": DIM,
        "bos_token_id": INDEX["<s>"],
        "unk_token_id": INDEX["<unk>"],
        "torch_dtype": "float32",
    }
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": INDEX[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for t in ("<unk>", "<s>")
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False},
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": INDEX, "unk_token": "<unk>"},
    }
    parameters = SIZE * SIZE + SIZE * DIM + SIZE
    card = f"""---
license: apache-2.0
language: en
library_name: safetensors
tags: [character-model, bigram, test]
---

# char-bigram

A character bigram language model with {parameters:,} parameters, made by
`testdata/make-model.py` from ten lines of text that stand in that script.

- **Use**: to show how a model is signed, attested, promoted and guarded.
  It writes text that looks like English from afar and means nothing.
- **Tensors**: `bigram.weight` (F32, {SIZE}×{SIZE}, log-probabilities),
  `embedding.weight` (F16, {SIZE}×{DIM}), `unigram.bias` (F32, {SIZE}).
- **Training data**: the text in the script, written for it; no personal data.
- **Code**: none. The weights are safetensors; nothing in this folder is run by loading it.
- **Licence**: Apache-2.0.
"""
    meta = {"format": "pt", "license": "apache-2.0", "model_type": "char-bigram", "producer": "testdata/make-model.py"}
    dump = lambda value: (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    return {
        "README.md": card.encode(),
        "config.json": dump(config),
        "model.safetensors": safetensors(tensors, meta),
        "tokenizer.json": dump(tokenizer),
    }


def say(count):
    # Greedy with a penalty for what was just said: no random numbers here either.
    rows, used, at, out = logits(counts()), {}, INDEX["<s>"], []
    for _ in range(count):
        best = max(range(2, SIZE), key=lambda j: rows[at][j] - 0.7 * used.get((at, j), 0))
        used[(at, best)] = used.get((at, best), 0) + 1
        out.append(ALPHABET[best])
        at = best if ALPHABET[best] != "\n" else INDEX["<s>"]
    return "".join(out)


def main():
    files = build()
    if "--check" in sys.argv:
        wrong = [n for n, data in files.items() if not (OUT / n).is_file() or (OUT / n).read_bytes() != data]
        wrong += [p.name for p in OUT.iterdir() if p.name not in files] if OUT.is_dir() else []
        for name in wrong:
            print(f"testdata/model/{name} is not what make-model.py writes", file=sys.stderr)
        return 1 if wrong else 0
    OUT.mkdir(exist_ok=True)
    for name, data in files.items():
        (OUT / name).write_bytes(data)
    if "--say" in sys.argv:
        print(say(int(sys.argv[sys.argv.index("--say") + 1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
