// autarky plan --validate-local: steps that run here beside their predictions, each by `bench
// train` as a process of its own.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/median.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_options.h"

namespace autarky::cli {
namespace {

// Models, sequence lengths, types and recomputation in one process; layouts over two ranks of half
// the processors each.
struct LocalCase {
  int ranks;
  const char* options;
};
constexpr LocalCase kCases[] = {
    {1, "--model quickstart --batch 8 --seq 256"},
    {1, "--model llama-17m --batch 4 --seq 256"},
    {1, "--model llama-17m --batch 16 --seq 256"},
    {1, "--model llama-17m --batch 4 --seq 256 --dtype f32"},
    {1, "--model llama-17m --batch 2 --seq 1024"},
    {1, "--model llama-17m --batch 1 --seq 2048"},
    {1, "--model llama-17m --batch 4 --seq 512 --recompute none"},
    {1, "--model llama-17m --batch 4 --seq 512 --recompute full"},
    {1, "--model llama-17m --batch 4 --seq 256 --micro-batches 4"},
    {1, "--model gpt2-124m --batch 1 --seq 256"},
    {1, "--model smollm2-135m --batch 1 --seq 256"},
    {2, "--model llama-17m --batch 1 --seq 512 --micro-batches 4 --data-parallel-size 2"},
    {2,
     "--model llama-17m --batch 1 --seq 512 --micro-batches 4 --data-parallel-size 2 --zero-stage "
     "3"},
    {2, "--model llama-17m --batch 1 --seq 512 --micro-batches 8 --tensor-parallel-size 2"},
    {2, "--model llama-17m --batch 1 --seq 512 --micro-batches 8 --pipeline-parallel-size 2"},
};

struct LocalRun {
  std::string name;
  double step_s = 0, predicted_s = 0, memory = 0, predicted_memory = 0;

  double error() const { return predicted_s / step_s - 1; }
  double memory_error() const { return predicted_memory / memory - 1; }
};

// What the program prints last, one JSON object.
Json run(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  if (!pipe) throw Error("a process cannot be started").at(command);
  std::string text;
  std::array<char, 4096> buffer;
  while (const auto n = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), n);
  const int code = ::pclose(pipe.release());
  const std::string last(trim(text));
  const auto line = last.rfind('\n');
  if (code != 0 || last.empty())
    throw Error("a step that was to be measured failed").at(command).hint("Run it to see why");
  return Json::parse(line == last.npos ? last : last.substr(line + 1));
}

LocalRun measure(const LocalCase& c, int threads) {
  const std::string self = fs::read_symlink("/proc/self/exe").string();
  std::string command = "'" + self + "'";
  if (c.ranks > 1)
    command +=
        fmt::format(" launch -n {} --threads {} --", c.ranks, std::max(1, threads / c.ranks));
  command += fmt::format(" bench train {} --steps 3 --json 2>/dev/null", c.options);
  const Json j = run(command);
  LocalRun r;
  r.name = fmt::format("{}{}", c.ranks > 1 ? fmt::format("{} ranks ", c.ranks) : "", c.options);
  r.step_s = j.at("step_s");
  r.predicted_s = j.at("predicted_step_s");
  r.memory = j.at("memory_bytes");
  r.predicted_memory = j.at("predicted_memory_bytes");
  return r;
}

}  // namespace

void validate_local(const Command& command, int threads) {
  std::vector<LocalRun> runs;
  {
    WorkProgress line("Runs");
    for (const auto& c : kCases) {
      runs.push_back(measure(c, threads));
      line.update(std::int64_t(runs.size()), std::int64_t(std::size(kCases)));
    }
  }
  std::vector<double> errors;
  Json rows = Json::array();
  for (const auto& r : runs) {
    errors.push_back(std::abs(r.error()));
    rows.push_back({{"run", r.name},
                    {"step_s", r.step_s},
                    {"predicted_step_s", r.predicted_s},
                    {"error", r.error()},
                    {"memory_bytes", r.memory},
                    {"predicted_memory_bytes", r.predicted_memory},
                    {"memory_error", r.memory_error()}});
  }
  if (command.json()) return print_json({{"rows", rows}, {"median_abs_error", median(errors)}});
  for (const auto& r : runs)
    print(fmt::format("{:>8} measured {:>8} predicted {:>+6.1f}% | memory {:>8} {:>+5.1f}% | {}\n",
                      human_seconds(r.step_s), human_seconds(r.predicted_s), 100 * r.error(),
                      human_bytes(r.memory), 100 * r.memory_error(), r.name));
  print(fmt::format("median absolute error of the step: {:.1f}%\n", 100 * median(errors)));
}

}  // namespace autarky::cli
