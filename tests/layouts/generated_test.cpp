// Every way to cut a step over ranks that these tables name: loss and all gradients of three steps
// against one rank from the same weights, and bit for bit where that is promised.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "layouts/run_layout.h"

namespace autarky {
namespace {

// Sanitized they take ten times as long; 7 goes through all kinds.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kEvery = 7;
#else
constexpr std::size_t kEvery = 1;
#endif

struct NamedLayout {
  std::string name;
  Family family;
  int layers = 4;
  LayoutRun run;
  ModelConfig (*config)(Family, int) = tiny_config;

  ModelConfig model() const { return config(family, layers); }
};
std::ostream& operator<<(std::ostream& out, const NamedLayout& l) {
  return out << l.name << ": " << describe(l.run);
}

constexpr PipelineSchedule kSchedules[] = {PipelineSchedule::gpipe, PipelineSchedule::one_f_one_b,
                                           PipelineSchedule::interleaved,
                                           PipelineSchedule::zero_bubble};
constexpr Recompute kRecompute[] = {Recompute::none, Recompute::selective, Recompute::full};

// tp, dp, pp
constexpr int kMeshes[][3] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {2, 2, 1},
                              {2, 1, 2}, {1, 2, 2}, {1, 4, 1}, {1, 1, 4}, {2, 2, 2},
                              {1, 2, 4}, {2, 1, 4}, {2, 4, 1}, {1, 4, 2}, {1, 8, 1}};

std::string family_word(Family family) {
  return family == Family::gpt2 ? "Gpt2" : family == Family::llama ? "Llama" : "Qwen2";
}
std::string schedule_word(PipelineSchedule s) {
  constexpr const char* kWords[] = {"Gpipe", "OneFOneB", "Interleaved", "ZeroBubble"};
  return kWords[std::size_t(s)];
}

class Maker {
 public:
  std::vector<NamedLayout> run() {
    for (Family family : {Family::gpt2, Family::llama, Family::qwen2}) {
      for (const auto& m : kMeshes) add_mesh(family, m[0], m[1], m[2]);
      add_uneven(family);
      add_odd_counts(family);
      add_odd_sizes(family);
      add_zero(family);
    }
    std::vector<NamedLayout> some;
    for (std::size_t i = 0; i < all_.size(); i += kEvery) some.push_back(all_[i]);
    return some;
  }

 private:
  static LayoutRun base(int tp, int dp, int pp) {
    LayoutRun r;
    r.mesh.size(Axis::tp) = tp;
    r.mesh.size(Axis::dp) = dp;
    r.mesh.size(Axis::pp) = pp;
    r.lanes = 8;
    r.steps = 3;
    r.update = true;
    return r;
  }

  // Every schedule where there are stages, sequence parallelism where there is tp; what is kept
  // goes round.
  void add_mesh(Family family, int tp, int dp, int pp) {
    for (const auto schedule : kSchedules) {
      if (pp == 1 && schedule != PipelineSchedule::one_f_one_b) continue;
      for (int sequence = 0; sequence < (tp > 1 && pp == 1 ? 2 : 1); ++sequence) {
        LayoutRun r = base(tp, dp, pp);
        r.schedule = schedule;
        r.sequence_parallel = pp == 1 ? sequence : tp > 1 && all_.size() % 2 == 0;
        r.chunks = schedule == PipelineSchedule::interleaved ? 2 : 1;
        r.recompute = kRecompute[all_.size() % 3];
        add(family, r.chunks * pp > 4 ? 8 : 4, r, "");
      }
    }
  }

  void add_uneven(Family family) {
    const auto uneven = [&](PipelineSchedule schedule, int pp, std::vector<int> layers) {
      LayoutRun r = base(1, 1, pp);
      r.schedule = schedule;
      r.chunks = int(layers.size()) / pp;
      r.stage_layers = std::move(layers);
      add(family, 8, r, "Uneven");
    };
    uneven(PipelineSchedule::one_f_one_b, 2, {1, 7});
    uneven(PipelineSchedule::gpipe, 4, {3, 2, 2, 1});
    uneven(PipelineSchedule::zero_bubble, 4, {1, 3, 3, 1});
    uneven(PipelineSchedule::interleaved, 2, {1, 2, 4, 1});
  }

  // Stages, layers and micro-batches that do not divide each other.
  void add_odd_counts(Family family) {
    for (const auto schedule : kSchedules) {
      LayoutRun r = base(1, 1, 3);
      r.schedule = schedule;
      r.chunks = schedule == PipelineSchedule::interleaved ? 2 : 1;
      r.global_batch = 10;
      r.lanes = 2;
      add(family, 7, r, "Odd");
    }
  }

  // Padding, and tp above the number of kv groups; some ranks have nothing of some dims.
  void add_odd_sizes(Family family) {
    for (const auto& [tp, dp, pp] :
         {std::array{2, 1, 1}, {4, 1, 1}, {8, 1, 1}, {2, 2, 1}, {2, 1, 2}, {4, 2, 1}, {4, 1, 2}})
      for (const auto config : {odd_config, tiny_config}) {
        if (config == tiny_config && tp == 2) continue;
        const ModelConfig c = config(family, 2);
        LayoutRun r = base(tp, dp, pp);
        r.mesh = with_sub_axes(r.mesh, c.kv_heads, c.heads / c.kv_heads);
        r.sequence_parallel = all_.size() % 2 == 0;
        r.recompute = kRecompute[all_.size() % 3];
        add(family, 2, r, config == odd_config ? "OddSizes" : "", config);
      }
  }

  void add_zero(Family family) {
    for (const auto& [tp, dp, pp] : {std::array{1, 2, 1}, {2, 2, 1}, {1, 2, 2}, {2, 2, 2}})
      for (int stage = 1; stage <= 3; ++stage) {
        LayoutRun r = base(tp, dp, pp);
        r.zero_stage = stage;
        r.global_batch = r.lanes = 4;  // these matrices are large
        r.schedule = pp > 1 ? kSchedules[all_.size() % 4] : PipelineSchedule::one_f_one_b;
        r.chunks = r.schedule == PipelineSchedule::interleaved ? 2 : 1;
        r.sequence_parallel = tp > 1 && stage % 2 == 0;
        r.recompute = kRecompute[all_.size() % 3];
        add(family, r.chunks * pp, r, "Zero" + std::to_string(stage), wide_config);
      }
  }

  void add(Family family, int layers, const LayoutRun& r, const std::string& more,
           ModelConfig (*config)(Family, int) = tiny_config) {
    std::string name = family_word(family) + more;
    const auto axis = [&](const char* word, Axis a) {
      if (r.mesh.size(a) > 1) name += word + std::to_string(r.mesh.size(a));
    };
    axis("Tp", Axis::tp);
    axis("Tpr", Axis::tpr);
    axis("Dp", Axis::dp);
    axis("Pp", Axis::pp);
    if (r.sequence_parallel) name += "Sp";
    if (r.mesh.size(Axis::pp) > 1) name += schedule_word(r.schedule);
    constexpr const char* kWords[] = {"KeepAll", "KeepSome", "KeepNone"};
    name += kWords[std::size_t(r.recompute)];
    all_.push_back({name, family, layers, r, config});
  }

  std::vector<NamedLayout> all_;
};

// What all layouts of a kind are compared with, made once per process.
const LayoutResult& reference_of(const NamedLayout& layout, const LayoutRun& run) {
  static std::map<std::string, LayoutResult> known;
  const ModelConfig config = layout.model();
  const std::string key = fmt::format("{} {} {} {} {}", family_word(layout.family), config.layers,
                                      config.ffn, describe(run), dtype_name(run.dtype));
  const auto it = known.find(key);
  if (it != known.end()) return it->second;
  return known[key] = run_layout(config, run);
}

class GeneratedLayouts : public testing::TestWithParam<NamedLayout> {};

TEST_P(GeneratedLayouts, TrainAsOneRankDoes) {
  const NamedLayout& l = GetParam();
  LayoutRun one = without_pipeline(l.run);
  one.mesh = {};
  one.sequence_parallel = false;
  one.zero_stage = 0;
  expect_same(reference_of(l, one), run_layout(l.model(), l.run), 1e-10);
}

void expect_same_bits(const NamedLayout& l, DType dtype) {
  LayoutRun run = l.run;
  run.dtype = dtype;
  const LayoutResult& one = reference_of(l, without_pipeline(run));
  const LayoutResult whole = run_layout(l.model(), run);
  EXPECT_EQ(whole.losses, one.losses);
  EXPECT_TRUE(whole.gradients == one.gradients) << first_difference(whole, one);
}

TEST_P(GeneratedLayouts, KeepTheBitsOfTheSameTensorParallelism) {
  const NamedLayout& l = GetParam();
  expect_same_bits(l, DType::f32);
  // With masters beside, and a table that two stages have.
  if (l.family == Family::gpt2 && l.run.mesh.size(Axis::pp) > 1) expect_same_bits(l, DType::bf16);
}

INSTANTIATE_TEST_SUITE_P(All, GeneratedLayouts, testing::ValuesIn(Maker().run()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace autarky
