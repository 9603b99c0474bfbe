"""Makes the tokenizer goldens with Hugging Face tokenizers (pip install tokenizers==0.23.*).

Each folder gets a small BPE tokenizer.json in the shape of a model family; expected.json holds the ids and the decoded
text of a list of strings. Run: python make_tokenizer_golden.py
"""
import json
import os

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's what we've said: they'll see, I'm sure.",
    "In 2024 there were 1234567 people; 3.14159 is pi, and 10% of 500 is 50.",
    "Training a tokenizer on a very small text is training on a very small text.",
    "\u4e2d\u6587\u5206\u8bcd\u5668\u8bad\u7ec3\uff0c\u6587\u672c\u5f88\u5c0f\u3002\u4eba\u5de5\u667a\u80fd\u6a21\u578b\u8bad\u7ec3\u6587\u672c\u3002",
    "def f(x):\n    return x + 1\n\n\nclass A:\n\tpass\n",
    "Gr\u00fc\u00dfe aus K\u00f6ln, \u00e9t\u00e9 fran\u00e7ais, \u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440, \u3053\u3093\u306b\u3061\u306f\u4e16\u754c",
] * 3
TEXTS = CORPUS[:6] + [
    "", " ", "  ", "   a", "a   ", "\n", "\r\n", "\n\n\n", " \n \n x", "\t\tx", "a\u00a0b \u00a0 c",
    "it's IT'S We'Ll I'M you'd they've \u2019s '\u017f x's'", "'s", "'", "don't'",
    "1", "12", "123", "1234", "1234567890", "3.14", "1,000,000", "\u0661\u0662\u0663", "\u00bd\u2167",
    "\u4e2d\u6587 \u4e2d\u6587\u3000\u4e2d", "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e8\U0001f1f3 \u2764\ufe0f",
    "e\u0301 \u00e9 A\u030a \u212b \ufb01 q\u0307\u0323", "\u0000\u0001\u007f\u0085\u180e\u2028\u2029\ufeff\ufffd\U0010ffff",
    "a<|endoftext|>b", "<|endoftext|><|endoftext|>", "<|endoftext|", " <|im_start|>user\nhi<|im_end|>\n",
    "<tool> x </tool><tool>", "<|im_start|><|im_start|", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 3,
    "----====////****", "a_b-c.d/e\\f", "http://example.com/?q=1&r=%20#x", "x\n\n  y\n \tz  \n", "!!!\n\n???",
    "the the the training training tokenizer", "\u0130\u0131\u00df\u1e9e", "don't don donor <s>x</s> <s> y", " <tool><tool>x",
    "x <|im_start|> \u3000 <|im_end|> \n y", "\u2581a \u2581 b", "a\u0300\u0316b", "\U0001d7d8\U0001d400x",
]
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def train(tokenizer, specials):
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, min_frequency=2, special_tokens=specials,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return train(t, ["<|endoftext|>"])


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def qwen2():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = split(QWEN2)
    train(t, [])
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    # The library decodes an added token of Latin-1 letters wrongly; these it does not.
    t.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("\u043c\u0438\u0440"),
                  AddedToken("\u1112\u1161\u11ab", normalized=True)])
    return t


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = split(LLAMA3)
    train(t, [])
    t.add_special_tokens(["<|begin_of_text|>", "<|endoftext|>"])
    bos = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A $B",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    return t


def spaced():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return train(t, ["<|endoftext|>"])


def smollm2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    return train(t, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])


def deepseek():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("[\r\n]"), "isolated"),
        pre_tokenizers.Split(Regex("\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u03ff\u0400-\u0481]+"),
                             "isolated"),
        pre_tokenizers.Split(Regex("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"), "isolated"),
        pre_tokenizers.Split(Regex("\\s+$"), "isolated"),
        pre_tokenizers.Split(Regex("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train(t, [])
    t.add_special_tokens(["<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<|endoftext|>"])
    bos = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"
    t.post_processor = processors.TemplateProcessing(
        single=[bos, "$A"], pair=[bos, "$A", bos + ":1", "$B:1"],
        special_tokens=[(bos, t.token_to_id(bos))])
    return t


def tekken():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = split(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    return train(t, ["<unk>", "<s>", "</s>", "[INST]"])


def from_pieces(normalizer, pre_tokenizer, limit, **options):
    """A BPE of characters: trained, then given the byte tokens that the trainer does not make."""
    t = Tokenizer(models.BPE())
    t.normalizer, t.pre_tokenizer = normalizer, pre_tokenizer
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=500, limit_alphabet=limit,
                                                      show_progress=False))
    model = json.loads(t.to_str())["model"]
    vocab = {name: i for i, name in enumerate(["<unk>", "<s>", "</s>"])}
    if options.get("byte_fallback"):
        vocab.update({"<0x%02X>" % b: 3 + b for b in range(256)})
    for token in sorted(model["vocab"], key=model["vocab"].get):
        vocab.setdefault(token, len(vocab))
    merges = [tuple(m) for m in model["merges"]]
    t.model = models.BPE(vocab=vocab, merges=merges, **options)
    t.add_special_tokens([AddedToken("<unk>", normalized=False), AddedToken("<s>", normalized=False),
                          AddedToken("</s>", normalized=False)])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])])
    return t


LLAMA_DECODER = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def llama2():
    t = from_pieces(normalizers.Sequence([normalizers.Prepend("\u2581"),
                                          normalizers.Replace(" ", "\u2581")]),
                    None, 60, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    t.decoder = LLAMA_DECODER
    t.add_tokens([AddedToken("<tool>", normalized=True), AddedToken("<|im_end|>", rstrip=True,
                                                                     normalized=False),
                  AddedToken("<|im_start|>", lstrip=True, normalized=False),
                  AddedToken("don", single_word=True, normalized=False)])
    return t


def mistral():
    t = from_pieces(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), 60,
                    unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    t.decoder = LLAMA_DECODER
    return t


def metaspace():
    t = from_pieces(normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(),
                                          normalizers.Replace(Regex("[0-9]{2}"), "#")]),
                    pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"),
                                             pre_tokenizers.Metaspace(prepend_scheme="always")]),
                    40, unk_token="<unk>", fuse_unk=False)
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    return t


def behaviors():
    t = from_pieces(normalizers.NFD(), pre_tokenizers.Sequence([
        pre_tokenizers.Split("\n", "removed"), pre_tokenizers.Split(Regex("[.,]"), "merged_with_next"),
        pre_tokenizers.Split(Regex("\\s"), "merged_with_previous"),
        pre_tokenizers.Split(Regex("[a-z]+"), "contiguous", invert=True),
        pre_tokenizers.Split(Regex("[a-z ]"), "removed", invert=True),
        pre_tokenizers.Digits(individual_digits=False)]), 45, unk_token="<unk>", fuse_unk=True)
    t.decoder = decoders.Fuse()
    return t


def main():
    for make in (gpt2, qwen2, llama3, spaced, smollm2, deepseek, tekken, llama2, mistral, metaspace,
                 behaviors):
        folder = os.path.join(HERE, make.__name__)
        os.makedirs(folder, exist_ok=True)
        tokenizer = make()
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
        cases = []
        for text in TEXTS:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            cases.append({"text": text, "ids": ids,
                          "with_special": tokenizer.encode(text).ids,
                          "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                          "without_special": tokenizer.decode(ids, skip_special_tokens=True)})
        with open(os.path.join(folder, "expected.json"), "w") as f:
            json.dump(cases, f, separators=(",", ":"))
            f.write("\n")


main()
