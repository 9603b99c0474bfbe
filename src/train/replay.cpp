#include "train/replay.h"

#include <fmt/core.h>

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference.h"
#include "base/error.h"
#include "train/plan_run.h"
#include "values/checked_backend.h"
#include "values/compare.h"
#include "values/recorder.h"
#include "values/tape.h"

namespace autarky {
namespace {

constexpr std::size_t kWorst = 10;
constexpr double kCarried = 8;  // a step's rounding to that of one operation

// What rounding explains of max |x - y| / max |y|. bf16 has 8 bits; other results are sums of up to
// some thousands of products that may cancel.
double bound_of(DType dtype) { return dtype == DType::bf16 ? 0x1p-6 : 2e-5; }

std::int64_t kept_step(const fs::path& run, const ReplayOptions& o) {
  if (o.step > 0) return o.step;
  std::int64_t last = 0;
  for (const auto& [step, path] : tapes(run))
    if (path == tape_path(run, step, o.rank)) last = std::max(last, step);
  if (last > 0) return last;
  throw InputError(fmt::format("the run kept no step of rank {}", o.rank))
      .at((run / "trace").string())
      .hint("Train with --logging.capture_step=N");
}

// What the run itself kept of the step, if it was traced.
std::vector<ValueSummary> traced(const fs::path& run, std::int64_t step, int rank,
                                 const ValueRecorder& recorder) {
  const RunValues values(run);
  const auto steps = values.steps();
  if (!std::binary_search(steps.begin(), steps.end(), step)) return {};
  const auto& ranks = values.ranks(step);
  if (std::size_t(rank) >= ranks.size()) return {};  // of a session with another layout
  const ValueReader& file = ranks[std::size_t(rank)];
  const bool same = std::equal(file.values().begin(), file.values().end(),
                               recorder.values().begin(), recorder.values().end(),
                               [](const auto& a, const auto& b) { return a.name == b.name; });
  if (!same)
    throw InputError(fmt::format("the values kept of step {} are those of another program", step))
        .at(run.string())
        .hint("The run's recipe or this program's version has changed since");
  return file.read(step);
}

// Looks at each operation after it ran.
class Judge : public Observer {
 public:
  Judge(const Program& program, const CheckedBackend* checked, double bound, Replay& result)
      : program_(program), checked_(checked), bound_(bound), result_(result) {}

  void made(std::size_t c, std::size_t n, std::span<const Tensor> out) override {
    const Call& call = program_.calls[c];
    const Graph& graph = program_.blocks[std::size_t(call.block)].graph;
    const Node& node = graph.nodes[n];
    if (!checked_ || node.op->movement != Movement::none) return;
    const auto& check = checked_->last();
    std::string name = graph.name;
    if (call.layer >= 0) name += fmt::format(" layer {}", call.layer);
    if (call.microbatch >= 0) name += fmt::format(" micro-batch {}", call.microbatch);
    name += fmt::format(", {}", node.op->name);
    if (node.number >= 0) name += fmt::format(" #{}", node.number);
    double allowed = 0;
    for (const Tensor& t : out) allowed = std::max(allowed, bound_of(t.dtype()));
    add({name, node.source, check.kernel, check.distance}, allowed);
  }

  void add(ReplayedOperation o, double allowed) {
    o.beyond = !(o.distance <= (bound_ > 0 ? bound_ : allowed));
    ++result_.operations;
    if (o.beyond && result_.beyond++ == 0) result_.first_beyond = o;
    if (o.distance == 0) return;
    const auto at =
        std::upper_bound(result_.worst.begin(), result_.worst.end(), o,
                         [](const auto& a, const auto& b) { return a.distance > b.distance; });
    result_.worst.insert(at, std::move(o));
    if (result_.worst.size() > kWorst) result_.worst.pop_back();
  }

 private:
  const Program& program_;
  const CheckedBackend* checked_;
  double bound_;
  Replay& result_;
};

// This run's values beside those that were kept. On the definitions alone the distance between the
// two is the measure: a value carries the rounding of all operations before it.
void compare_with_run(const ValueRecorder& recorder, std::span<const ValueSummary> kept,
                      double allowed, Judge& judge, Replay& result) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const NamedValue& v = recorder.values()[i];
    const ValueSummary& mine = recorder.summaries()[i];
    const ReplayedOperation o{to_string(v.name), v.source, "", distance(mine, kept[i])};
    ++result.values;
    if (mine.hash != kept[i].hash && result.other_bits++ == 0) result.first_other_bits = o;
    if (result.on_reference) judge.add(o, allowed);
  }
}

}  // namespace

Replay replay(const fs::path& run, const ReplayOptions& o) {
  const Recipe recipe = recipe_of_run(run);
  const EngineOptions options = engine_options(recipe, model_of(recipe.model));
  const int ranks = options.mesh.ranks();
  if (o.rank < 0 || o.rank >= ranks)
    throw InputError("the run has no such rank")
        .at("--rank")
        .found(std::to_string(o.rank))
        .wanted(fmt::format("0 to {}", ranks - 1));
  Replay result;
  result.step = kept_step(run, o);
  result.rank = o.rank;
  result.layout = options.mesh.to_string();
  result.on_reference = o.reference;
  TapePlayer player(tape_path(run, result.step, o.rank));

  const auto own = o.reference ? make_reference_backend() : make_cpu_backend();
  const CheckedBackend checked(*own);
  const Backend& backend = o.reference ? *own : static_cast<const Backend&>(checked);
  const auto stage = options.mesh.coordinates(o.rank)[std::size_t(Axis::pp)];
  Program program = std::move(compile_engine(options, backend)[std::size_t(stage)]);
  ValueRecorder recorder(program, o.rank);
  Judge judge(program, o.reference ? nullptr : &checked, o.bound, result);
  const auto comm = lone_rank(o.rank, ranks);
  Session session(program, backend, backend.allocate(program.arena_bytes()), *comm);
  session.observe({&player, &recorder, &judge});
  session.run();
  const auto kept = traced(run, result.step, o.rank, recorder);
  if (o.reference && kept.empty())
    throw InputError("there is nothing to compare the definitions' values with")
        .at(run.string())
        .hint("Train with --logging.trace=true beside capture_step, or leave --on away");
  compare_with_run(recorder, kept, kCarried * bound_of(options.dtype), judge, result);
  return result;
}

}  // namespace autarky
