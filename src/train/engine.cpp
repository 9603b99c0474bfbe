#include "train/engine.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "models/decoder.h"
#include "ops/adamw.h"

namespace autarky {
namespace {

ModelGraphs graphs(const EngineOptions& o) {
  return build_decoder(o.model, {o.dtype, o.batch, o.seq});
}

StepOptions step_options(const EngineOptions& o, const Backend& backend) {
  StepOptions s;
  s.recompute = o.recompute;
  s.microbatches = o.microbatches;
  s.lanes = o.lanes;
  s.optimizer = o.optimizer;
  s.scratch = scratch_of(backend);
  return s;
}

std::span<float> floats(const Tensor& t) { return {t.as<float>(), std::size_t(t.elements())}; }

constexpr std::int64_t kChunk = 1 << 16;  // elements a thread fills at a time

void fill_normal(std::span<float> values, const Random& random, double std) {
  const auto n = std::int64_t(values.size());
  parallel_for((n + kChunk - 1) / kChunk, [&](std::int64_t c, int) {
    for (std::int64_t i = c * kChunk; i < std::min(n, (c + 1) * kChunk); ++i)
      values[std::size_t(i)] = float(std * random.normal(std::uint64_t(i)));
  });
}

// Without a branch in the loop: an exponent of ones is infinite or NaN.
bool finite_values(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t found = 0;
  for (float v : values) found |= (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent;
  return found == 0;
}

void round_to_copy(std::span<const float> from, const Tensor& copy) {
  const auto n = std::int64_t(from.size());
  parallel_for((n + kChunk - 1) / kChunk, [&](std::int64_t c, int) {
    for (std::int64_t i = c * kChunk; i < std::min(n, (c + 1) * kChunk); ++i)
      copy.as<bf16>()[i] = bf16(from[std::size_t(i)]);
  });
}

}  // namespace

Program compile_engine(const EngineOptions& o, const Backend& backend, Pass last) {
  StepOptions step = step_options(o, backend);
  step.last_pass = last;
  return compile_step(graphs(o), step, 0);
}

Program compile_evaluation(const EngineOptions& o, const Backend& backend) {
  StepOptions forward = step_options(o, backend);
  forward.microbatches = 1;
  forward.borrow = true;
  return compile_forward(graphs(o), forward, 0);
}

TrainingEngine::TrainingEngine(const EngineOptions& o, const Backend& backend, Comm& comm)
    : options_(o), specs_(autarky::parameters(o.model)) {
  Program step = compile_engine(o, backend);
  Program evaluation = compile_evaluation(o, backend);
  planned_bytes_ = step.arena_bytes() + evaluation.arena_bytes();
  auto memory = backend.allocate(step.arena_bytes());
  session_ = std::make_unique<Session>(std::move(step), backend, std::move(memory), comm);
  memory = backend.allocate(evaluation.arena_bytes());
  evaluation_ = std::make_unique<Session>(std::move(evaluation), backend, std::move(memory), comm,
                                          session_.get());
  find_parameters();
  fill_constants();
}

void TrainingEngine::find_parameters() {
  for (const auto& spec : specs_)
    for (std::int64_t l = 0; l < (spec.block == ParameterBlock::layer ? options_.model.layers : 1);
         ++l) {
      const std::string name = buffer_name(spec, l);
      const Tensor copy = session_->buffer(name);
      const Tensor master =
          session_->has("master." + name) ? session_->buffer("master." + name) : copy;
      by_name_[layer_name(spec.name, l)] = parameters_.size();
      parameters_.push_back({&spec, l, floats(master), floats(session_->buffer("m." + name)),
                             floats(session_->buffer("v." + name)), copy});
    }
}

const TrainingEngine::Parameter& TrainingEngine::parameter(const ParameterSpec& spec,
                                                           std::int64_t layer) const {
  return parameters_[by_name_.at(layer_name(spec.name, layer))];
}

void TrainingEngine::fill_constants() {
  if (!session_->has("rope_frequencies")) return;
  const auto frequencies =
      rope_inv_freq(options_.model.rope, options_.model.head_dim, options_.seq);
  std::copy(frequencies.begin(), frequencies.end(),
            floats(session_->buffer("rope_frequencies")).begin());
}

void TrainingEngine::initialize(std::uint64_t seed) {
  for (auto& p : parameters_) {
    const std::string name = layer_name(p.spec->name, p.layer);
    const Random random{seed ^ xxh3(name), Purpose::init};
    if (p.spec->init.kind == InitKind::normal) fill_normal(p.master, random, p.spec->init.std);
    else
      std::fill(p.master.begin(), p.master.end(),
                p.spec->init.kind == InitKind::ones ? 1.0f : 0.0f);
    std::fill(p.m.begin(), p.m.end(), 0.0f);
    std::fill(p.v.begin(), p.v.end(), 0.0f);
  }
  refresh_copies();
}

void TrainingEngine::refresh_copies() {
  for (auto& p : parameters_)
    if (p.copy.dtype() == DType::bf16) round_to_copy(p.master, p.copy);
}

void TrainingEngine::fill(Session& session, const Batch& batch, int m, double weight) {
  const auto put = [&](const std::string& name, const std::vector<std::int32_t>& values) {
    const std::string full = name + "." + std::to_string(m);
    if (!session.has(full)) return;
    const Tensor t = session.buffer(full);
    AUTARKY_CHECK(std::int64_t(values.size()) == t.elements(), full);
    std::memcpy(t.data, values.data(), values.size() * sizeof(std::int32_t));
  };
  put("tokens", batch.tokens);
  put("targets", batch.targets);
  put("positions", batch.positions);
  put("segments", batch.segments);
  const std::string weights = "loss_weights." + std::to_string(m);
  if (!session.has(weights)) return;
  const auto w = floats(session.buffer(weights));
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = batch.targets[i] >= 0 ? float(weight) : 0;
}

bool TrainingEngine::finite() const {
  std::atomic<bool> all = true;
  for (const auto& p : parameters_)
    for (const std::span<const float> values : {p.master, p.m, p.v}) {
      const auto n = std::int64_t(values.size());
      parallel_for((n + kChunk - 1) / kChunk, [&](std::int64_t c, int) {
        const auto chunk =
            values.subspan(std::size_t(c * kChunk), std::size_t(std::min(kChunk, n - c * kChunk)));
        if (!finite_values(chunk)) all = false;
      });
    }
  return all;
}

StepResult TrainingEngine::step(std::span<const Batch> batches, double lr, std::int64_t update,
                                const StepLimits& limits) {
  const auto start = std::chrono::steady_clock::now();
  StepResult result;
  for (const auto& b : batches)
    result.targets +=
        std::count_if(b.targets.begin(), b.targets.end(), [](auto t) { return t >= 0; });
  for (std::size_t m = 0; m < batches.size(); ++m)
    fill(*session_, batches[m], int(m), 1.0 / double(std::max<std::int64_t>(result.targets, 1)));
  const auto hyper = floats(session_->buffer("hyper"));
  hyper[Hyper::lr] = float(lr);
  hyper[Hyper::correction1] = float(1 - std::pow(options_.optimizer.beta1, double(update)));
  hyper[Hyper::correction2] = float(1 - std::pow(options_.optimizer.beta2, double(update)));
  hyper[Hyper::norm_limit] = float(limits.norm);
  hyper[Hyper::loss_limit] = float(limits.loss * double(result.targets));
  session_->run();
  const auto* digits = session_->buffer("loss.sum").as<const std::int64_t>();
  const double sum =
      Digits::value(std::span<const std::int64_t, Digits::kCount>(digits, Digits::kCount));
  result.loss = sum / double(std::max<std::int64_t>(result.targets, 1));
  const auto clip = floats(session_->buffer("clip"));
  result.skipped = std::isnan(clip[0]);
  result.grad_norm = double(clip[1]);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

double TrainingEngine::evaluate(const Batch& batch) {
  fill(*evaluation_, batch, 0, 1);
  evaluation_->run();
  double sum = 0;
  for (float loss : floats(evaluation_->buffer("loss.0"))) sum += double(loss);
  return sum;
}

}  // namespace autarky
