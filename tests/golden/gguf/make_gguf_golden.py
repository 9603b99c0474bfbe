"""Makes the GGUF goldens with the gguf package of the llama.cpp project (pip install gguf==0.19.*).

types.gguf has a key of every kind and a tensor of every type that is read; types.safetensors has
these tensors as the package dequantises them, and `source`, which they were quantised from.
FAMILY.gguf are the models of ../models with the names that the package maps them to and query and
key rows in llama.cpp's order; FAMILY.vocab.gguf are the tokenizers of ../text
(needs sentencepiece==0.2.* too).
Run: python make_gguf_golden.py
"""
import json
import os
import struct

import gguf
import numpy as np
import sentencepiece
from gguf import GGMLQuantizationType as Q

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"F32": np.float32, "I32": np.int32}


def read_safetensors(path):
    raw = open(path, "rb").read()
    size, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            data = np.frombuffer(raw[8 + size + begin:8 + size + end], KINDS[t["dtype"]])
            out[name] = data.reshape(t["shape"])
    return out


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t, np.float32).tobytes())


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def types():
    rng = np.random.default_rng(1)
    source = (rng.standard_normal((3, 64)) * 10.0 ** rng.integers(-4, 4, (3, 64))).astype(np.float32)
    source[1, :32] = 0
    source[2, 32:] = [-0.0, 1e-7, 3.0, -127.0] * 8
    w = gguf.GGUFWriter(os.path.join(HERE, "types.gguf"), "test")
    w.add_uint8("a.u8", 200)
    w.add_int8("a.i8", -100)
    w.add_uint16("a.u16", 65535)
    w.add_int16("a.i16", -32768)
    w.add_uint32("a.u32", 4294967295)
    w.add_int32("a.i32", -2147483648)
    w.add_uint64("a.u64", 18446744073709551615)
    w.add_int64("a.i64", -9223372036854775808)
    w.add_float32("a.f32", 1e-5)
    w.add_float64("a.f64", 0.1)
    w.add_bool("a.true", True)
    w.add_bool("a.false", False)
    w.add_string("a.string", "gr\u00fc\u00dfe \u4e2d")
    w.add_array("a.strings", ["", "one", "\u00e9\u00e9"])
    w.add_array("a.integers", [3, -1, 2])
    w.add_array("a.floats", [0.5, -2.25])
    w.add_array("a.flags", [True, False])
    expected = {"source": source}
    for name, kind in (("f32", Q.F32), ("f16", Q.F16), ("bf16", Q.BF16), ("q8_0", Q.Q8_0),
                       ("q4_0", Q.Q4_0), ("q4_1", Q.Q4_1)):
        scaled = source / 100 if kind in (Q.F16,) else source
        data = gguf.quants.quantize(scaled, kind)
        w.add_tensor(name, data, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(data, kind)
    write(w)
    write_safetensors(os.path.join(HERE, "types.safetensors"), expected)


def permute(weights, heads):
    """Rows (half, i) of each head, which rotate together, become rows (i, half)."""
    rows = weights.reshape(heads, 2, -1, *weights.shape[1:])
    return rows.swapaxes(1, 2).reshape(weights.shape)


def model(family, arch):
    folder = os.path.join(HERE, "..", "models", family)
    config = json.load(open(os.path.join(folder, "config.json")))
    weights = read_safetensors(os.path.join(folder, "model.safetensors"))
    gpt2 = family == "gpt2"
    get = lambda a, b: config.get(b if gpt2 else a)
    layers, heads = get("num_hidden_layers", "n_layer"), get("num_attention_heads", "n_head")
    w = gguf.GGUFWriter(os.path.join(HERE, family + ".gguf"), gguf.MODEL_ARCH_NAMES[arch])
    w.add_block_count(layers)
    w.add_context_length(get("max_position_embeddings", "n_positions"))
    w.add_embedding_length(get("hidden_size", "n_embd"))
    w.add_head_count(heads)
    w.add_file_type(gguf.LlamaFileType.ALL_F32)
    if gpt2:
        w.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
        w.add_layer_norm_eps(config["layer_norm_epsilon"])
    else:
        w.add_feed_forward_length(config["intermediate_size"])
        w.add_head_count_kv(config["num_key_value_heads"])
        w.add_layer_norm_rms_eps(config["rms_norm_eps"])
        w.add_rope_freq_base(config["rope_theta"])
        w.add_vocab_size(config["vocab_size"])
        head_dim = config.get("head_dim") or config["hidden_size"] // heads
        w.add_key_length(head_dim)
        w.add_value_length(head_dim)
        w.add_rope_dimension_count(head_dim)
    for key, add in (("bos_token_id", w.add_bos_token_id), ("eos_token_id", w.add_eos_token_id)):
        if config.get(key) is not None:
            add(config[key])
    names = gguf.get_tensor_name_map(arch, layers)
    for name, t in weights.items():
        if family == "llama" and ".q_proj." in name:
            t = permute(t, heads)
        if family == "llama" and ".k_proj." in name:
            t = permute(t, config["num_key_value_heads"])
        if gpt2 and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
            t = t.T
        w.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")),
                     np.ascontiguousarray(t))
    write(w)


def vocab(family, pre):
    tokenizer = json.load(open(os.path.join(HERE, "..", "text", family, "tokenizer.json")))
    w = gguf.GGUFWriter(os.path.join(HERE, family + ".vocab.gguf"), "llama")
    ids = dict(tokenizer["model"]["vocab"])
    kinds = {i: gguf.TokenType.NORMAL for i in ids.values()}
    for t in tokenizer["added_tokens"]:
        ids[t["content"]] = t["id"]
        kinds[t["id"]] = gguf.TokenType.CONTROL if t["special"] else gguf.TokenType.USER_DEFINED
    texts = {i: t for t, i in ids.items()}
    size = max(texts) + 3  # padded, as embeddings often are
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list([texts.get(i, f"[PAD{i}]") for i in range(size)])
    w.add_token_types([kinds.get(i, gguf.TokenType.UNUSED) for i in range(size)])
    merges = tokenizer["model"]["merges"]
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    w.add_eos_token_id(ids["<|endoftext|>"])
    single = (tokenizer["post_processor"] or {}).get("single")
    if tokenizer["post_processor"] and tokenizer["post_processor"]["type"] == "Sequence":
        single = next((p["single"] for p in tokenizer["post_processor"]["processors"] if "single" in p), None)
    first = next((p["SpecialToken"]["id"] for p in single or [] if "SpecialToken" in p), None)
    if first:
        w.add_bos_token_id(ids[first])
        w.add_add_bos_token(True)
    w.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    write(w)


def sentencepiece_vocab(family):
    path = os.path.join(HERE, "..", "text", family, "tokenizer.model")
    model = sentencepiece.SentencePieceProcessor(model_file=path)
    w = gguf.GGUFWriter(os.path.join(HERE, family + ".vocab.gguf"), "llama")
    kinds = []
    for i in range(model.vocab_size()):
        kind = gguf.TokenType.NORMAL
        if model.is_unknown(i):
            kind = gguf.TokenType.UNKNOWN
        elif model.is_control(i):
            kind = gguf.TokenType.CONTROL
        elif model.is_byte(i):
            kind = gguf.TokenType.BYTE
        elif model.id_to_piece(i) == "<|tool|>":
            kind = gguf.TokenType.USER_DEFINED
        kinds.append(kind)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list([model.id_to_piece(i) for i in range(model.vocab_size())])
    w.add_token_scores([model.get_score(i) for i in range(model.vocab_size())])
    w.add_token_types(kinds)
    w.add_bos_token_id(model.bos_id())
    w.add_eos_token_id(model.eos_id())
    w.add_unk_token_id(model.unk_id())
    write(w)


types()
model("llama", gguf.MODEL_ARCH.LLAMA)
model("qwen2", gguf.MODEL_ARCH.QWEN2)
model("gpt2", gguf.MODEL_ARCH.GPT2)
vocab("gpt2", "gpt-2")
vocab("llama3", "llama-bpe")
vocab("qwen2", "qwen2")
vocab("smollm2", "smollm")
sentencepiece_vocab("sp_bpe")
