"""Times tokenizers; run by tokenizers.sh.

compare BUILD CACHE MEGABYTES ROUNDS     the table; BUILD has autarky and bench/tokenizer_bench
hf-train | hf-encode | tiktoken-encode THREADS DOCUMENTS FOLDER     one run of a peer: seconds
"""
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import time

VOCAB = 32768
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
           r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def make_documents(cache, megabytes):
    """The corpus in random order, again and again, as records of u32 length and bytes."""
    path = os.path.join(cache, f"documents-{megabytes}")
    if os.path.exists(path):
        return path
    documents = []
    for name in ("english.jsonl", "chinese.jsonl"):
        with open(os.path.join(cache, "corpus", name)) as f:
            documents += [json.loads(line)["text"].encode() for line in f]
    rng, size = random.Random(1), 0
    with open(path + ".part", "wb") as f:
        while size < megabytes * 1_000_000:
            rng.shuffle(documents)
            for d in documents:
                f.write(struct.pack("<I", len(d)) + d)
                size += len(d)
                if size >= megabytes * 1_000_000:
                    break
    os.rename(path + ".part", path)
    return path


def as_lines(documents):
    """The same documents as .jsonl."""
    path = documents + ".jsonl"
    if not os.path.exists(path):
        with open(path + ".part", "w") as f:
            for text in read_documents(documents):
                f.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        os.rename(path + ".part", path)
    return path


def read_documents(path):
    with open(path, "rb") as f:
        data = f.read()
    at, documents = 0, []
    while at < len(data):
        n = struct.unpack_from("<I", data, at)[0]
        documents.append(data[at + 4:at + 4 + n].decode())
        at += 4 + n
    return documents


def hf_train(documents, folder, threads):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, min_frequency=2, show_progress=False,
                                  special_tokens=["<|endoftext|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    start = time.perf_counter()
    t.train_from_iterator(documents, trainer)
    return time.perf_counter() - start, t.get_vocab_size()


def hf_encode(documents, folder, threads):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    start, tokens = time.perf_counter(), 0
    for i in range(0, len(documents), 1000):    # encodings of all at once would not fit in memory
        tokens += sum(len(e) for e in t.encode_batch_fast(documents[i:i + 1000],
                                                          add_special_tokens=False))
    return time.perf_counter() - start, tokens


def tiktoken_encode(documents, folder, threads):
    import tiktoken
    with open(os.path.join(folder, "tokenizer.json")) as f:
        model = json.load(f)["model"]
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in visible]
    byte = {**{chr(b): b for b in visible}, **{chr(256 + i): b for i, b in enumerate(others)}}
    ranks = {bytes(byte[c] for c in token): i for token, i in model["vocab"].items()}
    encoding = tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    start = time.perf_counter()
    if threads == 1:
        tokens = sum(len(encoding.encode_ordinary(d)) for d in documents)
    else:
        tokens = sum(map(len, encoding.encode_ordinary_batch(documents, num_threads=threads)))
    return time.perf_counter() - start, tokens


PEERS = {"hf-train": hf_train, "hf-encode": hf_encode, "tiktoken-encode": tiktoken_encode}


def run_peer(verb, threads, documents, folder):
    seconds, tokens = PEERS[verb](read_documents(documents), folder, int(threads))
    print(json.dumps({"seconds": seconds, "tokens": tokens}))


def timed(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads),
                       TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"tokenizers: failed: {' '.join(command)}")
    result = json.loads(out.splitlines()[-1])
    return {"seconds": result["seconds"], "megabytes": usage.ru_maxrss / 1000,
            "tokens": result["tokens"] if "tokens" in result else result["train"]["tokens"]}


def compare(build, cache, megabytes, rounds):
    program, autarky = os.path.join(build, "bench", "tokenizer_bench"), os.path.join(build, "autarky")
    documents, folder = make_documents(cache, int(megabytes)), os.path.join(cache, "trained")
    fifth = as_lines(make_documents(cache, max(1, int(megabytes) // 5)))
    peer = lambda verb, threads: [sys.executable, __file__, verb, str(threads), documents, folder]
    to_shards = lambda text: [autarky, "data", "build", "--input", text, "--tokenizer", folder,
                              "--out", os.path.join(cache, "built", "text"), "--json"]
    runs = {}
    for _ in range(int(rounds)):
        for threads in (1, 2):
            for task, name, command in (
                    ("train", "autarky", [program, "train", documents, str(VOCAB), "llama3", folder]),
                    ("train", "tokenizers", peer("hf-train", threads)),
                    ("encode", "autarky", [program, "encode", folder, documents]),
                    ("build", "autarky", to_shards(as_lines(documents))),
                    ("encode", "tokenizers", peer("hf-encode", threads)),
                    ("encode", "tiktoken", peer("tiktoken-encode", threads))):
                runs.setdefault((task, threads, name), []).append(timed(command, threads))
    report(runs, os.path.getsize(documents) / 1e6, rounds)
    small, large = (timed(to_shards(text), 2)["megabytes"] for text in (fifth, as_lines(documents)))
    print(f"peak memory of data build, 2 threads: {large:.0f} MB, and {small:.0f} MB on a fifth of the text")


def report(runs, size, rounds):
    print(f"{size:.0f} MB, vocabulary {VOCAB}, medians of {rounds}; build: autarky data build, beside encode")
    print("| task | threads | program | seconds | MB/s | ours is faster by | tokens | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    median = lambda key: statistics.median(r["seconds"] for r in runs[key])
    for task, threads, name in sorted(runs):
        seconds = median((task, threads, name))
        ours = median(("encode" if task == "build" else task, threads, "autarky"))
        peak = max(r["megabytes"] for r in runs[task, threads, name])
        print(f"| {task} | {threads} | {name} | {seconds:.2f} | {size / seconds:.1f} | "
              f"{seconds / ours:.2f} | {runs[task, threads, name][0]['tokens']} | {peak:.0f} |")
    for threads in (1, 2):
        share = median(("encode", threads, "autarky")) / median(("build", threads, "autarky"))
        print(f"data build: {share:.2f} of the encoder's speed on {threads} thread(s)")


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    compare(*arguments) if verb == "compare" else run_peer(verb, *arguments)


main()
