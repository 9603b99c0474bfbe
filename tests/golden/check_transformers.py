"""Called by check_transformers.sh: check_transformers.py PROGRAM SCRATCH_FOLDER

For every family that transformers has: a random model that transformers saves is scored by `autarky
score`; a model that autarky trains is loaded by AutoModelForCausalLM and AutoTokenizer. Both in f32."""
import json
import os
import random
import struct
import subprocess
import sys

import torch

import old_torch    # noqa: F401, before transformers
import transformers

BOUND = 2e-5    # of |difference| of log-probabilities
VOCAB, CONTEXT, STEPS = 400, 64, 30
SHARED = {"vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0}
LLAMA = {**SHARED, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
FAMILIES = {    # name: configuration, pattern of the tokenizer
    "gpt2": (transformers.GPT2Config(**SHARED, n_embd=32, n_layer=2, n_head=4,
                                     n_positions=CONTEXT), "gpt2"),
    "llama": (transformers.LlamaConfig(**LLAMA, rms_norm_eps=1e-5), "llama3"),
    "llama 3": (transformers.LlamaConfig(
        **{**LLAMA, "head_dim": 12}, rope_theta=500.0, rope_scaling=LLAMA3, attention_bias=True,
        mlp_bias=True, tie_word_embeddings=True), "llama3"),
    "mistral": (transformers.MistralConfig(**LLAMA, head_dim=12, sliding_window=9), "llama3"),
    "mistral without window": (transformers.MistralConfig(**LLAMA, sliding_window=None), "gpt2"),
    "qwen2": (transformers.Qwen2Config(**LLAMA, tie_word_embeddings=True), "qwen2"),
    "qwen2 with window": (transformers.Qwen2Config(
        **LLAMA, use_sliding_window=True, sliding_window=9, max_window_layers=0), "qwen2"),
    "qwen3": (transformers.Qwen3Config(**LLAMA, head_dim=12, tie_word_embeddings=True), "qwen2"),
}
WORDS = ("the cat don't sat on 1234 5 mats  and\tran, 'twas BLUE; it's \u4f60\u597d "
         "\u4e16\u754c\u3002 \u5929\u7a7a caf\u00e9 na\u00efve "
         "\U0001f600 x=y+1\n over\n\n under").split(" ")


def autarky(*arguments):
    """Runs the program; its last line, read as JSON."""
    done = subprocess.run([PROGRAM, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"autarky {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def our_scores(folder, tokens):
    listed = ",".join(str(t) for t in tokens)
    scores = autarky("score", "--model", folder, "--tokens", listed, "--dtype", "f32")
    return torch.tensor(scores["logprobs"], dtype=torch.float64)


def their_scores(model, tokens):
    """log p(token t+1 | tokens 0..t), [len(tokens) - 1]"""
    with torch.no_grad():
        logits = model.eval()(torch.tensor([tokens])).logits[0, :-1]
    return torch.log_softmax(logits.double(), -1)[torch.arange(len(tokens) - 1), tokens[1:]]


def report(what, folder, model, tokens):
    ours, theirs = our_scores(folder, tokens), their_scores(model, tokens)
    same_size = ours.shape == theirs.shape
    apart = (ours - theirs).abs().max().item() if same_size else float("inf")
    passed = apart <= BOUND    # false for a NaN
    print(f"{what}: max |difference| {apart:.2g} of {len(theirs)} log-probabilities from "
          f"{theirs.min():.2f} to {theirs.max():.2f}: {'ok' if passed else 'FAILED'}", flush=True)
    return passed


def check_theirs_in_ours(family, config, folder):
    """Noise on every parameter, so that norms and biases count and the logits spread."""
    torch.manual_seed(1)
    make = transformers.AutoModelForCausalLM.from_config
    model = make(config, attn_implementation="eager").float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder, safe_serialization=True)
    tokens = torch.randint(0, VOCAB, (CONTEXT,)).tolist()
    return report(f"{family}, random, made by transformers", folder, model, tokens)


def write_text(path):
    """The documents, also as lines of JSON in the file."""
    draw = random.Random(1)
    documents = [" ".join(draw.choices(WORDS, k=60)) for _ in range(100)]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in documents)
    return documents


def train(config_folder, pattern, scratch):
    """Trains on SCRATCH/text.jsonl; the folder of the checkpoint, and of the tokens."""
    text, run = f"{scratch}/text.jsonl", f"{config_folder}-run"
    tokenizer, data = f"{run}/tokenizer", f"{run}/text"
    autarky("tokenizer", "train", "--input", text, "--vocab-size", str(VOCAB), "--pattern", pattern,
            "--out", tokenizer)
    autarky("data", "build", "--input", text, "--tokenizer", tokenizer, "--out", data)
    recipe = {"model": {"config": f"{config_folder}/config.json"}, "tokenizer": tokenizer,
              "data": {"train": [data]},
              "train": {"steps": STEPS, "seq_length": 32, "micro_batch_size": 4,
                        "global_batch_size": 8, "dtype": "f32"},
              "optimizer": {"lr": 0.01}, "logging": {"run_dir": run, "samples": 0}}
    with open(f"{config_folder}.yaml", "w") as file:
        json.dump(recipe, file)    # JSON is YAML
    autarky("train", f"{config_folder}.yaml")
    return f"{run}/checkpoints/latest", data


def read_documents(prefix):
    """The ids of each document of a Megatron token file of u16."""
    with open(prefix + ".idx", "rb") as file:
        index = file.read()
    assert index[:9] == b"MMIDIDX\0\0" and index[17] == 8
    count, = struct.unpack_from("<Q", index, 18)
    sizes = struct.unpack_from(f"<{count}i", index, 34)
    starts = struct.unpack_from(f"<{count}q", index, 34 + 4 * count)
    with open(prefix + ".bin", "rb") as file:
        ids = file.read()
    return [list(struct.unpack_from(f"<{n}H", ids, start)) for n, start in zip(sizes, starts)]


def check_ids(family, tokenizer, documents, data):
    theirs = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in documents]
    ours = read_documents(data)
    texts = [tokenizer.decode(ids[:-1], clean_up_tokenization_spaces=False) for ids in ours]
    equal = sum(a == b for a, b in zip(ours, theirs))
    passed = ours == theirs and texts == documents
    print(f"{family}, trained by autarky: {type(tokenizer).__name__} gives the ids of data build "
          f"for {equal} of {len(documents)} documents: {'ok' if passed else 'FAILED'}", flush=True)
    return passed


def check_ours_in_theirs(family, config_folder, pattern, documents, scratch):
    checkpoint, data = train(config_folder, pattern, scratch)
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint, torch_dtype=torch.float32, output_loading_info=True,
        attn_implementation="eager")
    amiss = {what: names for what, names in loading.items() if names}
    if amiss:
        print(f"{family}, trained by autarky: loading says {amiss}: FAILED")
    tokens = tokenizer(documents[0])["input_ids"][:CONTEXT]
    same_ids = check_ids(family, tokenizer, documents, data)
    same_scores = report(f"{family}, trained by autarky for {STEPS} steps", checkpoint, model,
                         tokens)
    return not amiss and same_ids and same_scores


def main(scratch):
    transformers.logging.set_verbosity_error()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, bound {BOUND:g}")
    documents = write_text(f"{scratch}/text.jsonl")
    passed = True
    for family, (config, pattern) in FAMILIES.items():
        folder = os.path.join(scratch, family.replace(" ", "-"))
        passed &= check_theirs_in_ours(family, config, folder)
        passed &= check_ours_in_theirs(family, folder, pattern, documents, scratch)
    print("all ok" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    sys.exit(main(sys.argv[2]))
