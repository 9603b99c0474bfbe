"""Makes the SentencePiece goldens with its Python package (pip install sentencepiece==0.2.*).

Two small models: BPE with byte fallback as in Llama, unigram with normalization rules of its own.
expected.json holds ids and decoded texts. Run: python make_sentencepiece_golden.py
"""
import io
import json
import os
import tempfile

import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's what we've said: they'll see, I'm sure.",
    "In 2024 there were 1234567 people; 3.14159 is pi, and 10% of 500 is 50.",
    "Training a tokenizer on a very small text is training on a very small text.",
    "\u4e2d\u6587\u5206\u8bcd\u5668\u8bad\u7ec3\uff0c\u6587\u672c\u5f88\u5c0f\u3002",
] * 4
TEXTS = CORPUS[:4] + [
    "", " ", "  ", "   a", "a   b ", "\n", "a\tb", "1234567890", "\u4e2d\u6587 \u4e2d\u3000\u6587", "\ufb01 \u00e9 e\u0301 \u212b \u00bd",
    "\U0001f600\U0001f468\u200d\U0001f469", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "<s> x </s>", "<0x41>", "\u2581a", "<|tool|>x", "aaaa" * 50,
    "\u0000\u0001\u0085\ufeff\ufffd",
]


def train(name, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=model, minloglevel=2,
        user_defined_symbols=["<|tool|>"], **options)
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tokenizer.model"), "wb") as f:
        f.write(model.getvalue())
    library = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    cases = []
    for text in TEXTS:
        ids = library.encode(text)
        cases.append({"text": text, "ids": ids, "decoded": library.decode(ids)})
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump(cases, f, separators=(",", ":"))
        f.write("\n")


def main():
    train("sp_bpe", model_type="bpe", vocab_size=400, byte_fallback=True, split_digits=True,
          normalization_rule_name="identity", remove_extra_whitespaces=False)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("FB01\t66 69\nBD\t31 2F 32\n65 301\tE9\n3000\t20\n")
        rules.flush()
        train("sp_unigram", model_type="unigram", vocab_size=110, normalization_rule_tsv=rules.name,
              hard_vocab_limit=False)


main()
