#include "e2e/tiny_run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/rng.h"

namespace autarky {
namespace {

// 160 documents of 20 to 40 sentences, one in five of them Chinese.
std::string corpus() {
  const std::vector<std::string> english = {
      "the",  "cat",   "dog", "sat",  "on",   "mat",   "ran",  "to",  "big",  "small", "house",
      "tree", "river", "and", "with", "from", "under", "over", "sky", "blue", "green", "old"};
  const std::vector<std::string> chinese = {"你好", "世界", "天空", "河流", "大树",
                                            "小猫", "房子", "学习", "语言", "模型"};
  const Random random{7, Purpose::test};
  std::uint64_t next = 0;
  const auto pick = [&](std::size_t n) { return std::size_t(random.bits(next++) % n); };
  std::string text;
  for (int document = 0; document < 160; ++document) {
    if (document > 0) text += "\n<|endoftext|>\n";
    for (std::size_t left = 20 + pick(21); left > 0; --left) {
      const bool is_chinese = pick(5) == 0;
      for (int word = 0; word < 7; ++word)
        text += is_chinese ? chinese[pick(chinese.size())]
                           : english[pick(english.size())] + (word < 6 ? " " : "");
      text += is_chinese ? "。" : ". ";
    }
  }
  return text;
}

void write_models(const ScratchFolder& folder) {
  folder.write("llama.json", R"({"model_type": "llama", "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false})");
  folder.write("qwen2.json", R"({"model_type": "qwen2", "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 512, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "tie_word_embeddings": true})");
  folder.write("gpt2.json", R"({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2,
    "n_positions": 64, "vocab_size": 512, "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5})");
}

constexpr std::string_view kRecipe = R"(
model: {config: llama.json}
tokenizer: tokenizer
data: {train: [data/t_train], validation: [data/t_validation]}
train:
  {steps: 60, seq_length: 32, micro_batch_size: 4, global_batch_size: 8, dtype: f32,
   eval_every: 20, eval_samples: 8}
optimizer: {lr: 0.003}
logging: {run_dir: run, samples: 0}
)";

void must(const ScratchFolder& folder, const std::string& arguments) {
  const auto outcome = run(folder, arguments);
  ASSERT_EQ(outcome.code, 0) << arguments << outcome.err;
}

}  // namespace

void make_tiny_run(const ScratchFolder& folder) {
  const auto cache = fs::path(AUTARKY_BINARY).parent_path() / "e2e-cache";
  ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  folder.write("text.txt", corpus());
  folder.write("recipe.yaml", kRecipe);
  write_models(folder);
  must(folder, "tokenizer train --input text.txt --vocab-size 400 --out tokenizer");
  const std::string build = "data build --input text.txt --tokenizer tokenizer --out data/";
  must(folder, build + "all");
  must(folder, build + "t --validation-fraction 0.05");
}

std::string train_arguments(const std::string& run_dir, const std::string& more) {
  return "train recipe.yaml --threads 1 --json --logging.run_dir=" + run_dir + " " + more;
}

Outcome train(const ScratchFolder& folder, const std::string& run_dir, const std::string& more) {
  return run(folder, train_arguments(run_dir, more));
}

std::vector<nlohmann::json> metrics_of(const ScratchFolder& folder, const std::string& run_dir) {
  std::vector<nlohmann::json> lines;
  const auto text = content_of(folder / (run_dir + "/metrics.jsonl"));
  for (std::size_t start = 0, end; (end = text.find('\n', start)) != text.npos; start = end + 1)
    lines.push_back(nlohmann::json::parse(text.substr(start, end - start)));
  return lines;
}

std::vector<std::string> timeless_metrics(const ScratchFolder& folder, const std::string& run_dir) {
  std::vector<std::string> lines;
  for (auto& line : metrics_of(folder, run_dir)) {
    for (const char* key : {"tokens_per_s", "mfu", "step_s", "memory_bytes", "predicted_step_s",
                            "rank_own_s", "rank_waited_s"})
      line.erase(key);
    lines.push_back(line.dump());
  }
  return lines;
}

std::string final_bytes(const ScratchFolder& folder, const std::string& run_dir) {
  const auto latest = folder / (run_dir + "/checkpoints/latest");
  const auto weights = content_of(latest / "model.safetensors");
  const auto moments = content_of(latest / "optimizer.safetensors");
  EXPECT_GT(weights.size(), 100'000u) << run_dir;
  EXPECT_GT(moments.size(), 2 * weights.size() - 20'000) << run_dir;
  return weights + moments;
}

Running::Running(const ScratchFolder& folder, const std::string& arguments,
                 const std::string& before)
    : folder_(folder) {
  const auto command = "cd '" + folder.path().string() + "' && exec " + before + " '" +
                       AUTARKY_BINARY + "' " + arguments +
                       " >.running.out 2>.running.err </dev/null";
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
  ::_exit(127);
}

Running::~Running() {
  if (ended()) return;
  send(SIGKILL);
  wait();
}

bool Running::ended() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ < 0;
}

bool Running::wait_for_lines(const std::string& run_dir, std::size_t lines) {
  while (!ended()) {
    const auto text = content_of(folder_ / (run_dir + "/metrics.jsonl"));
    if (std::size_t(std::count(text.begin(), text.end(), '\n')) > lines) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

void Running::send(int signal) {
  if (!ended()) ::kill(pid_, signal);
}

Outcome Running::wait() {
  if (pid_ > 0) ::waitpid(pid_, &status_, 0);
  pid_ = -1;
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -1, content_of(folder_ / ".running.out"),
          content_of(folder_ / ".running.err")};
}

}  // namespace autarky
