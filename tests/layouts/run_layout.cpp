#include "layouts/run_layout.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "backend/reference/reference.h"
#include "base/hash.h"
#include "base/rng.h"
#include "comm/local/local_comm.h"
#include "ops/adamw.h"
#include "runtime/session.h"

namespace autarky {
namespace {

constexpr std::int64_t kSeq = 8;

// Calls body(local index, whole index) for every element that a rank holds of a value.
template <class Body>
void each_element(const Type& type, const Mesh& mesh, int rank, Body&& body) {
  const std::int64_t count = local_type(type, mesh).elements();
  Type dims = type;
  dims.layout.flat.clear();
  const Type local = local_type(dims, mesh);
  const auto at = mesh.coordinates(rank);
  const auto first = type.layout.flat.empty() ? 0 : count * piece_index(mesh, type.layout.flat, at);
  for (std::int64_t i = 0; i < count && first + i < local.elements(); ++i) {
    std::int64_t rest = first + i, whole = 0, stride = 1;
    bool padding = false;
    for (std::size_t d = type.dims.size(); d-- > 0;) {
      const DimPart part = dim_part(type.dims[d].extent, mesh, type.layout.split[d], at);
      padding |= rest % part.extent >= part.count;
      whole += (part.origin + rest % part.extent) * stride;
      stride *= type.dims[d].extent;
      rest /= part.extent;
    }
    if (!padding) body(i, whole);
  }
}

class RankRun {
 public:
  RankRun(const LayoutRun& run, Session& session, int rank, int microbatches)
      : run_(run), s_(session), rank_(rank), microbatches_(microbatches) {}

  void fill() {
    for (const auto& b : s_.program().buffers) {
      if (b.kind == BufferKind::param || b.kind == BufferKind::master) fill_param(b);
      if (b.kind == BufferKind::constant)
        fill_with(b, [&](std::int64_t i) {
          return std::pow(100.0, -double(i) / double(b.type.dims[0].extent));
        });
    }
    for (int m = 0; m < microbatches_; ++m) fill_data(m);
    if (s_.has("hyper"))
      fill_with(buffer_of("hyper"), [](std::int64_t i) {
        return i == Hyper::lr ? 0.01 : i >= Hyper::norm_limit ? 0 : 0.1;
      });
  }

  double loss() const {
    std::array<std::int64_t, Digits::kCount> digits;
    const auto t = s_.buffer("loss.sum");
    std::copy_n(t.as<std::int64_t>(), digits.size(), digits.begin());
    return Digits::value(digits);
  }

  void collect(std::map<std::string, std::vector<double>>& whole) const {
    for (const auto& b : s_.program().buffers) {
      std::string name = b.name;
      if (name.starts_with("reduced.")) name = name.substr(8);
      else if (b.kind == BufferKind::grad && b.type.layout.partial.empty() &&
               !std::isdigit(name[5]))
        name = name.substr(5);
      else continue;
      const auto values = to_doubles(s_.buffer(b.name));
      auto& all = whole[name];
      all.resize(std::size_t(b.type.elements()));
      each_element(b.type, run_.mesh, rank_,
                   [&](auto i, auto w) { all[std::size_t(w)] = values[std::size_t(i)]; });
    }
  }

 private:
  const Buffer& buffer_of(std::string_view name) const {
    return s_.program().buffers[std::size_t(s_.program().find_buffer(name))];
  }
  template <class F>
  void fill_with(const Buffer& b, F&& value) {
    const auto t = s_.buffer(b.name);
    std::vector<double> values(std::size_t(t.elements()));
    each_element(b.type, run_.mesh, rank_,
                 [&](auto i, auto w) { values[std::size_t(i)] = value(w); });
    from_doubles(values, t);
  }
  void fill_param(const Buffer& b) {
    const Random random{xxh3(b.name.starts_with("master.") ? b.name.substr(7) : b.name),
                        Purpose::init};
    const bool ones =
        b.name.find("norm") != std::string::npos || b.name.find("ln_") != std::string::npos;
    fill_with(b, [&](std::int64_t i) {
      return (ones ? 1.0 : 0.0) + 0.2 * random.normal(std::uint64_t(i));
    });
  }
  // The rank's rows of micro-batch m: rows are numbered over the step as DESIGN's lanes are, so a
  // data-parallel rank has contiguous micro-batches.
  void fill_data(int m) {
    const auto dp = run_.mesh.coordinates(rank_)[std::size_t(Axis::dp)];
    const std::int64_t row = std::int64_t(dp) * microbatches_ + m;
    const Random random{7, Purpose::test};
    const auto put = [&](const std::string& name, auto&& value) {
      const std::string full = fmt::format("{}.{}", name, m);
      if (!s_.has(full)) return;
      const Buffer& b = buffer_of(full);
      const auto t = s_.buffer(full);
      std::vector<double> values(std::size_t(t.elements()));
      each_element(b.type, run_.mesh, rank_,
                   [&](auto i, auto w) { values[std::size_t(i)] = value(w % kSeq); });
      from_doubles(values, t);
    };
    const auto token = [&](std::int64_t s) {
      return double(random.bits(std::uint64_t(row * (kSeq + 1) + s)) % 16);
    };
    put("tokens", [&](std::int64_t s) { return token(s); });
    put("targets", [&](std::int64_t s) { return s == 4 ? -1.0 : token(s + 1); });
    put("positions", [&](std::int64_t s) { return double(s < 5 ? s : s - 5); });
    put("segments", [&](std::int64_t s) { return double(s < 5 ? 0 : 1); });
    // Unlike weights: equal ones would hide it if micro-batches shared their memory.
    put("loss_weights", [&](std::int64_t i) {
      return double(1 + (row * kSeq + i) % 5) / double(run_.global_batch * (kSeq - 1));
    });
  }

  const LayoutRun& run_;
  Session& s_;
  int rank_, microbatches_;
};

}  // namespace

ModelConfig wide_config(Family family, int layers) {
  ModelConfig c = tiny_config(family, layers);
  c.hidden = 64;
  c.head_dim = 64 / c.heads;
  c.ffn = 160;
  c.vocab = 136;
  return c;
}

ModelConfig odd_config(Family family, int layers) {
  ModelConfig c = tiny_config(family, layers);
  c.kv_heads = family == Family::gpt2 ? 3 : 2;
  c.heads = family == Family::gpt2 ? 3 : 6;
  c.ffn = 23;
  c.vocab = 17;
  return c;
}

ModelConfig tiny_config(Family family, int layers) {
  ModelConfig c;
  c.family = family;
  c.layers = layers;
  c.hidden = 16;
  c.heads = family == Family::gpt2 ? 2 : 4;
  c.kv_heads = 2;
  c.head_dim = 4;
  c.ffn = 24;
  c.vocab = 16;
  c.max_positions = 32;
  if (family == Family::gpt2) {
    c.norm = NormKind::layer;
    c.activation = Activation::gelu_tanh;
    c.position = PositionKind::learned;
    c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
    c.tied_embeddings = true;
    c.head_dim = 8;
  }
  c.qkv_bias = family == Family::gpt2 || family == Family::qwen2;
  c.qk_norm = family == Family::qwen3;
  if (family == Family::mistral) c.window = 3;
  if (family == Family::telechat) c.attn_output_bias = c.ffn_output_bias = true;
  return c;
}

LayoutResult run_layout(const ModelConfig& config, const LayoutRun& run) {
  const int dp = run.mesh.size(Axis::dp), microbatches = run.global_batch / dp;
  const ModelGraphs model = build_decoder(config, {run.dtype, dp, kSeq});
  const auto backend = make_reference_backend();
  LayoutResult result;
  std::mutex mutex;
  run_local_ranks(run.mesh.ranks(), [&](Comm& comm) {
    StepOptions o;
    o.mesh = run.mesh;
    o.zero_stage = run.zero_stage;
    o.rules = run.rules.value_or(default_rules(run.sequence_parallel));
    o.recompute = run.recompute;
    o.schedule = run.schedule;
    o.chunks = run.chunks;
    o.stage_layers = run.stage_layers;
    o.microbatches = microbatches;
    o.lanes = run.lanes / dp;
    o.update = run.update;
    o.scratch = scratch_of(*backend);
    Program program =
        compile_step(model, o, run.mesh.coordinates(comm.rank())[std::size_t(Axis::pp)]);
    if (run.through_text) program = parse_program(print(program));
    auto arena = backend->allocate(program.arena_bytes());
    Session session(std::move(program), *backend, std::move(arena), comm);
    RankRun rank(run, session, comm.rank(), microbatches);
    rank.fill();
    std::vector<double> losses;
    for (int step = 0; step < run.steps; ++step) {
      session.run();
      losses.push_back(rank.loss() / double(run.global_batch * (kSeq - 1)));
    }
    const std::lock_guard lock(mutex);
    result.loss = losses.back();
    result.losses = std::move(losses);
    rank.collect(result.gradients);
  });
  return result;
}

std::string describe(const LayoutRun& run) {
  std::string text = fmt::format("{} {} recompute {}, {} sequences, {} lanes", run.mesh.to_string(),
                                 pipeline_schedule_name(run.schedule),
                                 recompute_name(run.recompute), run.global_batch, run.lanes);
  if (run.zero_stage > 0) text += fmt::format(", ZeRO {}", run.zero_stage);
  if (run.chunks > 1) text += fmt::format(", {} chunks", run.chunks);
  for (int n : run.stage_layers) text += fmt::format(", {} layers", n);
  for (const auto& r : run.rules.value_or(default_rules(run.sequence_parallel)))
    text += fmt::format(", {}:{}", r.dims, axis_name(r.axis));
  return text;
}

LayoutRun without_pipeline(const LayoutRun& run) {
  LayoutRun one = run;
  one.mesh.size(Axis::pp) = 1;
  one.zero_stage = run.zero_stage < 2 ? 0 : 2;
  if (one.zero_stage == 0) one.mesh.size(Axis::dp) = 1;
  one.schedule = PipelineSchedule::one_f_one_b;
  one.recompute = Recompute::selective;
  one.chunks = 1;
  one.stage_layers.clear();
  return one;
}

namespace {

double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (double v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

}  // namespace

std::string first_difference(const LayoutResult& a, const LayoutResult& b) {
  for (const auto& [name, values] : a.gradients)
    if (const auto it = b.gradients.find(name); it == b.gradients.end() || it->second != values)
      return name;
  return "";
}

void expect_same(const LayoutResult& a, const LayoutResult& b, double tolerance) {
  ASSERT_EQ(a.losses.size(), b.losses.size());
  for (std::size_t step = 0; step < a.losses.size(); ++step)
    EXPECT_NEAR(a.losses[step], b.losses[step], tolerance * std::abs(a.losses[step])) << step;
  double largest_of_all = 0;
  for (const auto& [name, values] : a.gradients)
    largest_of_all = std::max(largest_of_all, largest_of(values));
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  for (const auto& [name, whole] : a.gradients) {
    ASSERT_TRUE(b.gradients.contains(name)) << name;
    const auto& other = b.gradients.at(name);
    ASSERT_EQ(whole.size(), other.size()) << name;
    double difference = 0;
    for (std::size_t i = 0; i < whole.size(); ++i)
      difference = std::max(difference, std::abs(whole[i] - other[i]));
    const double largest = largest_of(whole);
    EXPECT_GT(largest, 0) << name;
    EXPECT_LE(difference, tolerance * std::max(largest, 1e-6 * largest_of_all)) << name;
  }
}

}  // namespace autarky
