// autarky train from outside: what a run leaves behind, and that it leaves the same however often
// it was killed.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "base/rng.h"
#include "e2e/tiny_run.h"

namespace autarky {
namespace {

class Train : public ::testing::Test {
 protected:
  void SetUp() override { make_tiny_run(folder_); }

  void expect_refused(const std::string& run_dir, const std::string& more,
                      const std::vector<std::string>& parts) {
    const auto outcome = train(folder_, run_dir, more);
    EXPECT_EQ(outcome.code, 2) << more << outcome.err;
    EXPECT_EQ(outcome.out, "") << more;
    int errors = 0;
    for (const auto& line : split(outcome.err, '\n')) errors += contains(line, ": error: ");
    EXPECT_EQ(errors, 1) << outcome.err;
    for (const auto& part : parts) EXPECT_TRUE(contains(outcome.err, part)) << outcome.err;
  }

  std::string undisturbed(const std::string& more) {
    const auto outcome = train(folder_, "whole", more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return final_bytes(folder_, "whole");
  }

  ScratchFolder folder_;
};

std::set<std::string> keys_of(const nlohmann::json& json) {
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  return keys;
}

TEST_F(Train, LearnsAndSaysHow) {
  const auto outcome = train(folder_, "run", "--logging.samples=2 --checkpoint.every=25");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto summary = last_json(outcome);
  EXPECT_EQ(keys_of(summary),
            (std::set<std::string>{"run_dir", "steps", "loss", "val_loss", "tokens_per_s", "mfu"}));
  EXPECT_EQ(summary["run_dir"], "run");
  EXPECT_EQ(summary["steps"], 60);
  std::vector<nlohmann::json> steps, evaluations;
  for (const auto& line : metrics_of(folder_, "run"))
    (line.contains("loss") ? steps : evaluations).push_back(line);
  ASSERT_EQ(steps.size(), 60u);
  ASSERT_EQ(evaluations.size(), 3u);
  for (const auto& line : steps)
    EXPECT_EQ(keys_of(line),
              (std::set<std::string>{"step", "tokens", "loss", "grad_norm", "lr", "tokens_per_s",
                                     "mfu", "step_s", "memory_bytes", "predicted_step_s"}));
  for (const auto& line : evaluations)
    EXPECT_EQ(keys_of(line), (std::set<std::string>{"step", "val_loss"}));
  EXPECT_NEAR(steps[0]["loss"].get<double>(), std::log(512.0), 0.15);  // knows nothing yet
  EXPECT_LT(steps[59]["loss"].get<double>(), 4.2);
  EXPECT_EQ(steps[59]["tokens"], 60 * 8 * 32);
  EXPECT_EQ(summary["loss"], steps[59]["loss"]);
  EXPECT_EQ(summary["val_loss"], evaluations[2]["val_loss"]);
  EXPECT_LT(evaluations[2]["val_loss"].get<double>(), evaluations[0]["val_loss"].get<double>());
  const auto report = content_of(folder_ / "run/report.html");
  EXPECT_TRUE(contains(report, "<svg")) << report.size();
  EXPECT_TRUE(contains(report, "Where a step's time goes"));
}

TEST_F(Train, LeavesWholeCheckpoints) {
  ASSERT_EQ(train(folder_, "run", "--train.steps=5 --checkpoint.every=2").code, 0);
  const auto checkpoints = folder_ / "run/checkpoints";
  EXPECT_EQ(fs::read_symlink(checkpoints / "latest"), "step_00000005");
  EXPECT_FALSE(fs::exists(checkpoints / "step_00000002"));  // the last two are kept
  for (const char* step : {"step_00000004", "step_00000005"})
    for (const char* file :
         {"config.json", "model.safetensors", "optimizer.safetensors", "tokenizer.json",
          "tokenizer_config.json", "train_state.json", "manifest.json"})
      EXPECT_TRUE(fs::is_regular_file(checkpoints / step / file)) << step << file;
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints), {}), 3);
  const auto config = nlohmann::json::parse(content_of(checkpoints / "latest/config.json"));
  EXPECT_EQ(config["model_type"], "llama");
}

TEST_F(Train, EndsWithTheSameBytesHoweverOftenItWasKilled) {
  const std::string more = "--train.steps=20 --checkpoint.every=1 --train.eval_every=3 ";
  const auto expected = undisturbed(more);
  const Random random{1, Purpose::test};
  int kills = 0;
  for (; kills < 9; ++kills) {
    Running program(folder_, train_arguments("killed", more + "--resume"));
    const auto before = fs::exists(folder_ / "killed/metrics.jsonl")
                            ? metrics_of(folder_, "killed").size()
                            : std::size_t(0);
    if (!program.wait_for_lines("killed", std::min<std::size_t>(before, 20))) break;
    const auto pause = std::int64_t(random.bits(std::uint64_t(kills)) % 40'000);
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
    program.send(SIGKILL);
    if (program.wait().code != -1) break;
  }
  EXPECT_GE(kills, 2);
  const auto rest = train(folder_, "killed", more + "--resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(last_json(rest)["steps"], 20);
  EXPECT_TRUE(final_bytes(folder_, "killed") == expected);
  EXPECT_EQ(timeless_metrics(folder_, "killed"), timeless_metrics(folder_, "whole"));
  for (const auto& entry : fs::directory_iterator(folder_ / "killed/checkpoints"))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".tmp")) << entry.path();
}

TEST_F(Train, SavesOnASignalAndGoesOn) {
  const std::string more = "--train.dtype=bf16 ";
  const auto expected = undisturbed(more);
  std::size_t lines = 0;
  for (const int signal : {SIGTERM, SIGINT}) {
    Running program(folder_, train_arguments("stopped", more + "--resume"));
    ASSERT_TRUE(program.wait_for_lines("stopped", lines + 2));
    program.send(signal);
    const auto outcome = program.wait();
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_LT(last_json(outcome)["steps"].get<int>(), 60);
    lines = metrics_of(folder_, "stopped").size();
  }
  ASSERT_EQ(train(folder_, "stopped", more + "--resume").code, 0);
  EXPECT_TRUE(final_bytes(folder_, "stopped") == expected);
  EXPECT_EQ(timeless_metrics(folder_, "stopped"), timeless_metrics(folder_, "whole"));
}

TEST_F(Train, TheNumberOfThreadsDoesNotChangeABit) {
  for (const std::string dtype : {"f32", "bf16"}) {
    std::vector<std::string> bytes;
    for (const std::string threads : {"1", "2"}) {
      const auto name = dtype + "_" + threads;
      const auto outcome = run(folder_, "train recipe.yaml --train.steps=6 --train.dtype=" + dtype +
                                            " --logging.run_dir=" + name + " --threads " + threads);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      bytes.push_back(final_bytes(folder_, name));
    }
    EXPECT_TRUE(bytes[0] == bytes[1]) << dtype;
  }
  EXPECT_FALSE(final_bytes(folder_, "f32_1") == final_bytes(folder_, "bf16_1"));
}

TEST_F(Train, EveryFamilyLearns) {
  for (const std::string family : {"gpt2", "qwen2"}) {
    const auto outcome =
        train(folder_, family, "--train.steps=12 --model.config=" + family + ".json");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_LT(last_json(outcome)["loss"].get<double>(), 5.3) << family;
  }
}

TEST_F(Train, AFinishedRunStaysFinished) {
  ASSERT_EQ(train(folder_, "run", "--train.steps=4").code, 0);
  const auto bytes = final_bytes(folder_, "run");
  const auto metrics = timeless_metrics(folder_, "run");
  const auto json = last_json(train(folder_, "run", "--train.steps=4 --resume"));
  EXPECT_EQ(json["steps"], 4);
  EXPECT_EQ(json["loss"], metrics_of(folder_, "run")[3]["loss"]);
  EXPECT_EQ(json["val_loss"], metrics_of(folder_, "run")[4]["val_loss"]);
  const auto words = run(folder_, "train recipe.yaml --threads 1 --train.steps=4 --resume");
  EXPECT_EQ(words.code, 0) << words.err;
  EXPECT_TRUE(contains(words.out, "finished")) << words.out;
  EXPECT_TRUE(final_bytes(folder_, "run") == bytes);
  EXPECT_EQ(timeless_metrics(folder_, "run"), metrics);
  expect_refused("run", "--train.steps=4", {"already holds checkpoints", "--resume"});
  expect_refused("run", "--train.steps=4 --resume --optimizer.lr=0.1", {"recipe"});
  EXPECT_TRUE(final_bytes(folder_, "run") == bytes);
}

std::map<std::string, std::int64_t> samples_of(const ScratchFolder& folder,
                                               const std::string& run_dir) {
  const auto state = nlohmann::json::parse(
      content_of(folder / (run_dir + "/checkpoints/latest/train_state.json")));
  std::map<std::string, std::int64_t> samples;
  for (const auto& source : state["data"]["sources"]) {
    samples[source["prefix"]] = source["samples"];
    EXPECT_EQ(source["tokens"], source["samples"].get<std::int64_t>() * 32);
  }
  return samples;
}

TEST_F(Train, ABlendThatChangesGivesTheSameBytesWhetherPlannedOrNot) {
  const std::string first =
                        "--data.train='[{prefix: data/all, weight: 3}, {prefix: data/t_train, "
                        "weight: 1}]' --schedule.kind=constant ",
                    second =
                        "[{prefix: data/t_train, weight: 1}, {prefix: data/t_validation, "
                        "weight: 1}]",
                    phases = "--data.phases='[{from_step: 6, train: " + second + "}]' ";
  ASSERT_EQ(train(folder_, "planned", first + phases + "--train.steps=12").code, 0);
  EXPECT_EQ(samples_of(folder_, "planned"),
            (std::map<std::string, std::int64_t>{
                {"data/all", 30}, {"data/t_train", 10 + 28}, {"data/t_validation", 28}}));
  for (const char* stop : {"3", "5", "9"}) {
    const std::string name = std::string("stopped") + stop;
    ASSERT_EQ(train(folder_, name, first + phases + "--train.steps=" + stop).code, 0);
    const auto rest = train(folder_, name, first + phases + "--train.steps=12 --resume");
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_TRUE(final_bytes(folder_, name) == final_bytes(folder_, "planned")) << stop;
    EXPECT_EQ(samples_of(folder_, name), samples_of(folder_, "planned"));
  }
  ASSERT_EQ(train(folder_, "decided", first + "--train.steps=5").code, 0);
  const auto rest =
      train(folder_, "decided",
            "--data.train='" + second + "' --schedule.kind=constant --train.steps=12 --resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_TRUE(contains(rest.err, "another blend of data from step 6 on")) << rest.err;
  EXPECT_TRUE(final_bytes(folder_, "decided") == final_bytes(folder_, "planned"));
  EXPECT_EQ(samples_of(folder_, "decided"), samples_of(folder_, "planned"));
}

TEST_F(Train, TwoRunsInOneFolderAreRefused) {
  Running first(folder_, train_arguments("run", "--train.steps=100000"));
  ASSERT_TRUE(first.wait_for_lines("run", 0));
  expect_refused("run", "--resume", {"another run", "run_dir"});
  first.send(SIGTERM);
  const auto ended = first.wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
}

// Kernels of oneDNN for AVX-512 leave the stack pointer in memory of their own: a handler on the
// thread that computes would write over the heap.
TEST_F(Train, SignalsDoNotDisturbTheComputation) {
  Running program(folder_, train_arguments("run", "--train.steps=100000 --checkpoint.every=0"));
  ASSERT_TRUE(program.wait_for_lines("run", 0));
  for (int i = 0; i < 40; ++i) {
    program.send(SIGUSR1);
    std::this_thread::sleep_for(std::chrono::milliseconds(7));
  }
  program.send(SIGTERM);
  const auto ended = program.wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
}

TEST_F(Train, ATraceShowsTheLastStepMeasuredAndPredicted) {
  ASSERT_EQ(train(folder_, "run", "--train.steps=2 --logging.trace=true").code, 0);
  const auto trace = nlohmann::json::parse(content_of(folder_ / "run/trace.json"));
  std::map<int, std::map<std::string, int>> ops;  // by process and "block op"
  double end_us = 0;
  for (const auto& e : trace["traceEvents"]) {
    if (e["ph"] != "X") continue;
    const std::string block = e["cat"], op = e["name"];
    ++ops[e["pid"]][block + " " + op];
    if (e["pid"] == 1) end_us = std::max(end_us, e["ts"].get<double>() + e["dur"].get<double>());
  }
  EXPECT_GT(ops[1].size(), 20u);
  EXPECT_TRUE(ops[1].contains("layer.F attention"));
  EXPECT_EQ(ops[1], ops[2]);  // one program, run and simulated
  const auto lines = metrics_of(folder_, "run");
  const auto last = std::find_if(lines.begin(), lines.end(), [](const auto& line) {
    return line.contains("step_s") && line["step"] == 2;
  });
  ASSERT_NE(last, lines.end());
  EXPECT_LE(end_us / 1e6, (*last)["step_s"].get<double>() * 1.001);
}

TEST_F(Train, ADryRunSaysWhatItWouldTake) {
  const auto plan = last_json(train(folder_, "run", "--dry-run"));
  EXPECT_EQ(plan["fits"], true);
  EXPECT_GT(plan["parameters"].get<int>(), 100'000);
  std::int64_t sum = 0;
  for (const auto& [kind, bytes] : plan["memory"].items()) sum += bytes.get<std::int64_t>();
  EXPECT_EQ(plan["predicted_memory_bytes"], sum);
  for (const char* kind : {"parameters", "gradients", "optimizer moments", "activations"})
    EXPECT_TRUE(plan["memory"].contains(kind)) << kind;
  EXPECT_EQ(plan["same_bits"]["sizes"].size(), 1u);
  EXPECT_EQ(plan["schedule"], nullptr);
  const auto lanes = run(folder_,
                         "train recipe.yaml --threads 1 --dry-run --parallel.lanes=2 "
                         "--train.global_batch_size=16 --parallel.pipeline_parallel_size=2");
  EXPECT_TRUE(contains(lanes.out, "data_parallel_size 1 (+")) << lanes.out;
  EXPECT_TRUE(contains(lanes.out, "of gradients on a rank), 2, at lanes 2")) << lanes.out;
  EXPECT_TRUE(contains(lanes.out, "1f1b: 2 stages, 4 micro-batches, 15 units")) << lanes.out;
  EXPECT_TRUE(contains(lanes.out, "\nstage 1  .  F0 B0 B0 F1 B1 B1")) << lanes.out;
  const auto start = std::chrono::steady_clock::now();
  const auto big = run(folder_,
                       "train recipe.yaml --threads 1 --dry-run --model.config= "
                       "--model.preset=llama3-405b");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_EQ(big.code, 2);
  EXPECT_TRUE(contains(big.out, "optimizer moments")) << big.out;
  EXPECT_TRUE(contains(big.err, "does not fit")) << big.err;
  expect_refused("run", "--model.config= --model.preset=llama3-405b", {"does not fit"});
  const auto dump = run(folder_, "train recipe.yaml --threads 1 --dump");
  EXPECT_EQ(dump.code, 0);
  EXPECT_TRUE(contains(dump.out, "attention")) << dump.out.substr(0, 400);
  EXPECT_TRUE(contains(dump.out, "stage 0, after memory\n")) << dump.out.substr(0, 400);
  const auto early = run(folder_, "train recipe.yaml --threads 1 --dump=partition");
  EXPECT_EQ(early.code, 0) << early.err;
  EXPECT_TRUE(contains(early.out, "stage 0, after partition\ngraph embed {"))
      << early.out.substr(0, 400);
  EXPECT_FALSE(contains(early.out, "call 0")) << early.out.substr(0, 400);
  expect_refused("run", "--dump=lunch",
                 {"--dump: unknown pass; found 'lunch', wanted one of autodiff, "
                  "partition, recompute, fuse, schedule, bucket, memory"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Train, WrongRecipesAreNamedAndLeaveNothing) {
  folder_.write("file", "");
  ASSERT_EQ(run(folder_, "tokenizer train --input text.txt --vocab-size 600 --out large").code, 0);
  expect_refused("run", "--train.stepz=3", {"train.stepz", "'train.steps'"});
  expect_refused("run", "--data.train='[nothing]'", {"nothing.idx"});
  expect_refused("run", "--data.phases='[{from_step: 3, train: [nothing]}]'", {"nothing.idx"});
  expect_refused("run", "--data.phases='[{train: [data/all]}]'", {"from_step 0 after 1"});
  expect_refused("run", "--data.phases='[{from_step: 3}]'", {"from step 3 has no train"});
  expect_refused("run", "--tokenizer=large", {"large", "600", "512"});
  expect_refused("run", "--tokenizer=nowhere", {"nowhere"});
  expect_refused("run", "--train.seq_length=65", {"train.seq_length", "65", "64"});
  expect_refused("run", "--model.config=nowhere.json", {"nowhere.json"});
  expect_refused("run", "--parallel.tensor_parallel_size=2", {"parallel"});
  expect_refused("run", "--train.global_batch_size=6", {"global_batch_size"});
  expect_refused("file", "", {"file", "run_dir"});
  expect_refused("/proc/run", "", {"/proc/run", "run_dir"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  EXPECT_TRUE(fs::is_regular_file(folder_ / "file"));
}

}  // namespace
}  // namespace autarky
