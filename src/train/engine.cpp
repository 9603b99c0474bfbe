#include "train/engine.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "comm/agree.h"
#include "ir/part.h"
#include "models/decoder.h"
#include "models/flops.h"
#include "ops/adamw.h"

namespace autarky {
namespace {

StepOptions step_options(const EngineOptions& o, const Backend& backend) {
  StepOptions s = step_options(o);
  s.scratch = scratch_of(backend);
  return s;
}

std::span<float> floats(const Tensor& t) { return {t.as<float>(), std::size_t(t.elements())}; }

constexpr std::int64_t kChunk = 1 << 16;  // elements a thread fills at a time

// Without a branch in the loop: an exponent of ones is infinite or NaN.
bool finite_values(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t found = 0;
  for (float v : values) found |= (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent;
  return found == 0;
}

// Element i of `part` = value(i, its index in the whole).
template <class Value>
void fill_part(const Tensor& part, const std::vector<Stretch>& runs, Value&& value) {
  parallel_for(std::int64_t(runs.size()), [&](std::int64_t r, int) {
    const Stretch& run = runs[std::size_t(r)];
    for (std::int64_t i = 0; i < run.count; ++i)
      if (part.dtype() == DType::bf16)
        part.as<bf16>()[run.part + i] = bf16(value(run.part + i, run.whole + i));
      else part.as<float>()[run.part + i] = value(run.part + i, run.whole + i);
  });
}

}  // namespace

std::vector<Program> compile_engine(const EngineOptions& o, const Backend& backend, Pass last) {
  StepOptions step = step_options(o, backend);
  step.last_pass = last;
  return compile_stages(training_graphs(o), step);
}

Program compile_evaluation(const EngineOptions& o, const Backend& backend, int stage) {
  StepOptions forward = step_options(o, backend);
  forward.microbatches = 1;
  forward.borrow = true;
  return compile_forward(training_graphs(o), forward, stage);
}

TrainingEngine::TrainingEngine(const EngineOptions& o, const Backend& backend, Comm& comm)
    : options_(o),
      comm_(comm),
      at_(o.mesh.coordinates(comm.rank())),
      specs_(autarky::parameters(o.model)) {
  Program step = compile_step(training_graphs(o), step_options(o, backend), index(Axis::pp));
  Program evaluation = compile_evaluation(o, backend, index(Axis::pp));
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
         ++l)
      if (session_->has(buffer_name(spec, l))) add_parameter(spec, l);
}

void TrainingEngine::add_parameter(const ParameterSpec& spec, std::int64_t layer) {
  const auto type_of = [&](const std::string& name) {
    const Program& p = session_->program();
    return p.buffers[std::size_t(p.find_buffer(name))].type;
  };
  const std::string name = buffer_name(spec, layer);
  if (!session_->has("m." + name)) {  // the last stage's copy of a tied table
    tied_copy_ = {&spec, layer, {}, {}, {}, {}, session_->buffer(name), type_of(name)};
    return;
  }
  const std::string master = session_->has("master." + name) ? "master." + name : name;
  by_name_[layer_name(spec.name, layer)] = parameters_.size();
  parameters_.push_back({&spec, layer, type_of(master), floats(session_->buffer(master)),
                         floats(session_->buffer("m." + name)),
                         floats(session_->buffer("v." + name)), session_->buffer(name),
                         type_of(name)});
}

const TrainingEngine::Parameter* TrainingEngine::find(const ParameterSpec& spec,
                                                      std::int64_t layer) const {
  const auto it = by_name_.find(layer_name(spec.name, layer));
  return it == by_name_.end() ? nullptr : &parameters_[it->second];
}

const TrainingEngine::Parameter& TrainingEngine::parameter(const ParameterSpec& spec,
                                                           std::int64_t layer) const {
  const auto* p = find(spec, layer);
  AUTARKY_CHECK(p, layer_name(spec.name, layer));
  return *p;
}

// value(index in the whole)
template <class Value>
void TrainingEngine::put_values(const Parameter& p, StatePart part, Value&& value) {
  const Type f32 = local_type(p.type, options_.mesh);
  const Tensor to{reinterpret_cast<std::byte*>(p.values(part).data()), &f32};
  const auto runs = stretches_of(p.type, options_.mesh, at_, kChunk);
  fill_part(to, runs, [&](std::int64_t, std::int64_t whole) { return value(whole); });
  if (part != StatePart::weight || p.copy.data == to.data) return;
  if (p.copy_type.layout == p.type.layout)
    fill_part(p.copy, runs, [&](std::int64_t i, std::int64_t) { return p.master[std::size_t(i)]; });
  else put_copy(p, value);
}

template <class Value>
void TrainingEngine::put_copy(const Parameter& p, Value&& value) {
  fill_part(p.copy, stretches_of(p.copy_type, options_.mesh, at_, kChunk),
            [&](std::int64_t, std::int64_t whole) { return value(whole); });
}

bool TrainingEngine::holds(StatePart part, const ParameterSpec& spec, std::int64_t layer) const {
  return find(spec, layer) ||
         (part == StatePart::weight && tied_copy_ && tied_copy_->spec->name == spec.name);
}

void TrainingEngine::put(StatePart part, const ParameterSpec& spec, std::int64_t layer,
                         std::span<const float> whole) {
  const auto value = [&](std::int64_t i) { return whole[std::size_t(i)]; };
  if (!holds(part, spec, layer)) return;
  if (const auto* p = find(spec, layer)) put_values(*p, part, value);
  else put_copy(*tied_copy_, value);
}

void TrainingEngine::fill_constants() {
  if (!session_->has("rope_frequencies")) return;
  const auto frequencies =
      rope_inv_freq(options_.model.rope, options_.model.head_dim, options_.seq);
  std::copy(frequencies.begin(), frequencies.end(),
            floats(session_->buffer("rope_frequencies")).begin());
}

void TrainingEngine::initialize(std::uint64_t seed) {
  const auto first_values = [&](const Parameter& p, auto&& put_all) {
    const Random random{seed ^ xxh3(layer_name(p.spec->name, p.layer)), Purpose::init};
    const Init& init = p.spec->init;
    if (init.kind == InitKind::normal)
      put_all([&](std::int64_t i) { return float(init.std * random.normal(std::uint64_t(i))); });
    else put_all([&](std::int64_t) { return init.kind == InitKind::ones ? 1.0f : 0.0f; });
  };
  for (const auto& p : parameters_) {
    first_values(p, [&](auto&& value) { put_values(p, StatePart::weight, value); });
    std::fill(p.m.begin(), p.m.end(), 0.0f);
    std::fill(p.v.begin(), p.v.end(), 0.0f);
  }
  if (tied_copy_) first_values(*tied_copy_, [&](auto&& value) { put_copy(*tied_copy_, value); });
}

void TrainingEngine::fill(Session& session, const Batch& batch, int m, double weight) {
  // The batch has the rows of this data-parallel rank; other axes may cut it further.
  const auto put = [&](const std::string& name, auto&& value) {
    const int b = session.program().find_buffer(name + "." + std::to_string(m));
    if (b < 0) return;
    Type rows = session.program().buffers[std::size_t(b)].type;
    rows.dims[0].extent = options_.batch;
    std::erase(rows.layout.split[0], Axis::dp);
    const Tensor to = session.buffer(session.program().buffers[std::size_t(b)].name);
    for (const Stretch& r : stretches_of(rows, options_.mesh, at_))
      for (std::int64_t i = 0; i < r.count; ++i) value(to, r.part + i, std::size_t(r.whole + i));
  };
  const auto put_ids = [&](const std::string& name, const std::vector<std::int32_t>& values) {
    put(name, [&](const Tensor& to, auto i, auto w) { to.as<std::int32_t>()[i] = values[w]; });
  };
  put_ids("tokens", batch.tokens);
  put_ids("targets", batch.targets);
  put_ids("positions", batch.positions);
  put_ids("segments", batch.segments);
  put("loss_weights", [&](const Tensor& to, auto i, auto w) {
    to.as<float>()[i] = batch.targets[w] >= 0 ? float(weight) : 0;
  });
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

// Whether this rank has index 0 along every axis but `axis`.
bool TrainingEngine::is_first_but(Axis axis) const {
  Coordinates at = at_;
  at[static_cast<std::size_t>(axis)] = 0;
  return at == Coordinates{};
}

std::int64_t TrainingEngine::over_data_ranks(std::int64_t mine) const {
  const auto all = gather_all(comm_, is_first_but(Axis::dp) ? mine : 0);
  return std::accumulate(all.begin(), all.end(), std::int64_t(0));
}

StepResult TrainingEngine::step(std::span<const Batch> batches, double lr, std::int64_t update,
                                const StepLimits& limits) {
  const auto start = std::chrono::steady_clock::now();
  StepResult result;
  for (const auto& b : batches)
    result.targets +=
        std::count_if(b.targets.begin(), b.targets.end(), [](auto t) { return t >= 0; });
  result.targets = over_data_ranks(result.targets);
  const auto counted = double(std::max<std::int64_t>(result.targets, 1));
  for (std::size_t m = 0; m < batches.size(); ++m)
    fill(*session_, batches[m], int(m), 1.0 / counted);
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
  result.loss = sum / counted;
  const auto clip = floats(session_->buffer("clip"));
  result.skipped = std::isnan(clip[0]);
  result.grad_norm = double(clip[1]);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

// What this rank adds to its data-parallel rank's sum: nothing where another one holds the same.
double TrainingEngine::local_loss() const {
  const int b = evaluation_->program().find_buffer("loss.0");
  if (b < 0) return 0;
  const Layout& layout = evaluation_->program().buffers[std::size_t(b)].type.layout;
  for (Axis a : {Axis::tpr, Axis::tp, Axis::ep, Axis::cp, Axis::fsdp}) {
    const bool splits = std::any_of(layout.split.begin(), layout.split.end(), [&](const auto& s) {
      return std::find(s.begin(), s.end(), a) != s.end();
    });
    if (!splits && index(a) > 0) return 0;
  }
  double sum = 0;
  for (float loss : floats(evaluation_->buffer("loss.0"))) sum += double(loss);
  return sum;
}

std::vector<double> TrainingEngine::evaluate(const Batch& batch) {
  fill(*evaluation_, batch, 0, 1);
  evaluation_->run();
  std::vector<double> sums(std::size_t(options_.mesh.size(Axis::dp)), 0);
  const auto all = gather_all(comm_, local_loss());
  for (std::size_t r = 0; r < all.size(); ++r)
    sums[std::size_t(options_.mesh.coordinates(int(r))[std::size_t(Axis::dp)])] += all[r];
  return sums;
}

}  // namespace autarky
