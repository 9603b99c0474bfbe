// A run small enough for tests: a corpus from a word list, a tokenizer of 400 tokens, token files,
// three tiny models and a recipe; and a program that runs while the test goes on.
#pragma once
#include <sys/types.h>

#include "e2e/program.h"

namespace autarky {

// In `folder`: text.txt, tokenizer/, data/t_train and data/t_validation, data/all, llama.json,
// gpt2.json, qwen2.json and recipe.yaml (llama, 60 steps, one thread's worth of work).
// What the machine can do is measured once and kept beside the program.
void make_tiny_run(const ScratchFolder& folder);

// autarky train recipe.yaml into run_dir, on one thread, --json.
std::string train_arguments(const std::string& run_dir, const std::string& more = "");
Outcome train(const ScratchFolder& folder, const std::string& run_dir,
              const std::string& more = "");

// The lines of run_dir/metrics.jsonl; a last one that is not whole is left out.
std::vector<nlohmann::json> metrics_of(const ScratchFolder& folder, const std::string& run_dir);
// The same without the keys that depend on the clock and the machine, as text.
std::vector<std::string> timeless_metrics(const ScratchFolder& folder, const std::string& run_dir);
// Weights and optimizer state of the run's newest checkpoint.
std::string final_bytes(const ScratchFolder& folder, const std::string& run_dir);

// The program, running; killed at the end if it still does.
class Running {
 public:
  // `before`: words of a shell before the program, as "env A=b".
  Running(const ScratchFolder& folder, const std::string& arguments,
          const std::string& before = "");
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // False: the program ended before `run_dir` had more than `lines` lines of metrics.
  bool wait_for_lines(const std::string& run_dir, std::size_t lines);
  void send(int signal);
  Outcome wait();  // code -1: ended by a signal

 private:
  bool ended();

  const ScratchFolder& folder_;
  pid_t pid_ = -1;
  int status_ = 0;
};

}  // namespace autarky
