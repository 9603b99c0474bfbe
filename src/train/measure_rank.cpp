#include "train/measure_rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/median.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/words.h"
#include "ops/adamw.h"
#include "ops/movement.h"
#include "train/lone_program.h"
#include "values/tape.h"

namespace autarky {
namespace {

constexpr double kLongRun = 60;  // seconds: is not run again
constexpr int kMostRuns = 30;
// Seconds of runs that are enough for medians, few as they may be.
constexpr double kEnough = 20;

const Block& block_of(const Program& p, std::size_t call) {
  return p.blocks[std::size_t(p.calls[call].block)];
}

// Element i of every floating tensor: between 0.005 and 0.015, so that second moments have roots
// and sums stay finite. Of a short list, as numbers cost nothing then.
template <class T>
void fill_floats(const Tensor& t) {
  constexpr std::int64_t kPeriod = 4093, kChunk = 1 << 16;
  std::vector<T> values;
  const Random random{1, Purpose::test};
  for (std::int64_t i = 0; i < kPeriod; ++i)
    values.push_back(T(float(0.005 + 0.01 * random.uniform(std::uint64_t(i)))));
  const std::int64_t n = t.elements();
  parallel_for((n + kChunk - 1) / kChunk, [&](std::int64_t c, int) {
    for (std::int64_t i = c * kChunk; i < std::min(n, (c + 1) * kChunk); ++i)
      t.as<T>()[i] = values[std::size_t(i % kPeriod)];
  });
}

// Integers that are not these are zero: segments (all of one document), sums.
void fill_ids(const Tensor& t, const std::string& name, const MeasureRequest& r) {
  const Random random{2, Purpose::test};
  const bool positions = name.starts_with("positions");
  if (!positions && !name.starts_with("tokens") && !name.starts_with("targets")) return;
  for (std::int64_t i = 0; i < t.elements(); ++i)
    t.as<std::int32_t>()[i] = std::int32_t(
        positions ? i % r.seq
                  : std::int64_t(random.bits(std::uint64_t(i)) % std::uint64_t(r.vocab)));
}

// An ordinary update that is taken whatever the gradient.
void fill_hyper(const Tensor& t) {
  auto* h = t.as<float>();
  h[Hyper::lr] = 1e-6f;
  h[Hyper::correction1] = h[Hyper::correction2] = 0.5f;
  h[Hyper::norm_limit] = h[Hyper::loss_limit] = 0;
}

void fill_static(const Session& session, const MeasureRequest& r) {
  for (const Buffer& b : session.program().buffers) {
    if (!is_static(b.kind) || b.offset < 0) continue;
    const Tensor t = session.buffer(b.name);
    if (b.name == "hyper") fill_hyper(t);
    else if (t.dtype() == DType::f32) fill_floats<float>(t);
    else if (t.dtype() == DType::bf16) fill_floats<bf16>(t);
    else if (t.dtype() == DType::i32) fill_ids(t, b.name, r);
  }
}

// Seconds of every node of every call, run after run.
class NodeTimes {
 public:
  explicit NodeTimes(const Program& p) : program_(p), by_call_(p.calls.size()) {
    for (std::size_t c = 0; c < p.calls.size(); ++c)
      by_call_[c].resize(block_of(p, c).graph.nodes.size());
  }

  // The events are those of all nodes in the order in which they ran.
  void add(const Timeline& run) {
    std::size_t e = 0;
    for (auto& call : by_call_)
      for (auto& node : call) node.push_back(run.at(e++).seconds);
  }

  MeasuredBlocks medians() const {
    MeasuredBlocks blocks;
    for (std::size_t c = 0; c < by_call_.size(); ++c) {
      const Graph& graph = block_of(program_, c).graph;
      auto& seconds = blocks[graph.name];
      for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
        const bool here =
            graph.nodes[n].op->movement == Movement::none || graph.nodes[n].op == &op_info<Slice>();
        seconds.push_back(here ? median(by_call_[c][n]) : -1);
      }
    }
    return blocks;
  }

 private:
  const Program& program_;
  std::vector<std::vector<std::vector<double>>> by_call_;  // by node
};

class Measurement {
 public:
  Measurement(const MeasureRequest& r, const Backend& backend) : r_(r), backend_(backend) {
    choose_blocks();
    plan(true);
    if (result_.memory_bytes > r.memory_bytes) plan(false);
    if (result_.memory_bytes > r.memory_bytes) refuse();
    for (const Program& p : programs_) all_s_ += 2 * work_s(p);
  }

  MeasuredRanks run() {
    std::map<std::string, std::vector<double>> known;  // by the block's text
    for (std::size_t k = 0; k < programs_.size(); ++k) {
      if (!programs_[k].calls.empty())
        for (auto& [name, seconds] : run_kind(programs_[k])) known[text_of(k, name)] = seconds;
      programs_[k] = {};
      MeasuredBlocks blocks;
      for (const auto& name : computing_blocks(r_.kinds[k]))
        if (const auto it = known.find(text_of(k, name)); it != known.end())
          blocks[name] = it->second;
      result_.kinds.push_back(std::move(blocks));
    }
    return std::move(result_);
  }

 private:
  std::string text_of(std::size_t kind, const std::string& block) const {
    const Program& p = r_.kinds[kind];
    return print(p.blocks[std::size_t(p.find_block(block))].graph);
  }

  // A block is measured in the first kind that has it.
  void choose_blocks() {
    std::set<std::string> seen;
    for (std::size_t k = 0; k < r_.kinds.size(); ++k) {
      chosen_.emplace_back();
      for (const auto& name : computing_blocks(r_.kinds[k]))
        if (seen.insert(text_of(k, name)).second) chosen_.back().insert(name);
    }
  }

  void plan(bool update) {
    programs_.clear();
    result_.update = update;
    result_.memory_bytes = 0;
    for (std::size_t k = 0; k < r_.kinds.size(); ++k) {
      std::set<std::string> blocks = chosen_[k];
      if (!update) std::erase_if(blocks, [&](const auto& b) { return is_update(r_.kinds[k], b); });
      programs_.push_back(one_call_of_each(r_.kinds[k], blocks, scratch_of(backend_)));
      result_.memory_bytes = std::max(result_.memory_bytes, programs_.back().arena_bytes());
    }
  }

  [[noreturn]] void refuse() const {
    throw InputError("one rank of this layout does not fit in this machine's memory")
        .at("--measure")
        .found(fmt::format("{} free", human_bytes(double(r_.memory_bytes))))
        .wanted(fmt::format("{} for one layer and one micro-batch, without the optimizer",
                            human_bytes(double(result_.memory_bytes))))
        .hint("Take more chips or a shorter --seq, so that a rank has less to hold");
  }

  double work_s(const Program& p) const {
    double sum = 0;
    for (const Call& call : p.calls)
      for (const Node& n : p.blocks[std::size_t(call.block)].graph.nodes)
        sum += work_s(n, p.blocks[std::size_t(call.block)].graph);
    return sum;
  }
  double work_s(const Node& node, const Graph& graph) const {
    if (node.op->movement != Movement::none || !r_.work_s) return 0;
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(local_type(graph.type(v), r_.kinds[0].mesh));
    for (Value v : node.out) out.push_back(local_type(graph.type(v), r_.kinds[0].mesh));
    return r_.work_s(node.op->cost(node.attrs, in, out));
  }

  MeasuredBlocks run_kind(const Program& p) {
    Coordinates at{};
    at[std::size_t(Axis::pp)] = p.stage;
    const auto comm = lone_rank(p.mesh.rank(at), p.mesh.ranks());
    Session session(p, backend_, backend_.allocate(p.arena_bytes()), *comm);
    fill_static(session, r_);
    const double until = done_s_ + 2 * work_s(p);
    AbsentRanks absent([&](const Node& node, const Block& block) {
      done_s_ = std::min(until, done_s_ + work_s(node, block.graph));
      if (r_.progress) r_.progress(done_s_, all_s_);
    });
    session.observe(r_.watch ? std::vector<Observer*>{&absent, r_.watch}
                             : std::vector<Observer*>{&absent});
    Timeline timeline;
    session.record(&timeline);
    NodeTimes times(p);
    double measured_s = 0;
    const double least_s = r_.least_s / double(programs_.size());
    const auto wanted = [&](int run) {
      return run < 2 || measured_s < least_s || (run <= r_.least_runs && measured_s < kEnough);
    };
    for (int run = 0; run <= kMostRuns && wanted(run); ++run) {
      const auto start = std::chrono::steady_clock::now();
      session.run();
      const double taken =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (run == 0 && taken < kLongRun) continue;
      times.add(timeline);
      measured_s += taken;
      if (run == 0) break;
    }
    done_s_ = until;
    return times.medians();
  }

  const MeasureRequest& r_;
  const Backend& backend_;
  std::vector<std::set<std::string>> chosen_;  // blocks, by kind
  std::vector<Program> programs_;
  double done_s_ = 0, all_s_ = 0;
  MeasuredRanks result_;
};

}  // namespace

void AbsentRanks::made(std::size_t call, std::size_t node, std::span<const Tensor>) {
  const Block& block = block_of(*program_, call);
  if (made_) made_(block.graph.nodes[node], block);
}

bool AbsentRanks::moves(std::size_t call, std::size_t node, std::span<const Tensor> out) {
  const OpInfo* op = block_of(*program_, call).graph.nodes[node].op;
  if (op == &op_info<Slice>()) return false;
  if (op->movement == Movement::send) return true;
  constexpr int kByte = 0x3c;  // 0x3c3c3c3c is 0.0115 in f32, 0x3c3c in bf16 too
  for (const Tensor& t : out)
    std::memset(t.data, is_floating(t.dtype()) ? kByte : 0, std::size_t(t.type->bytes()));
  return true;
}

MeasuredRanks measure_ranks(const MeasureRequest& request, const Backend& backend) {
  return Measurement(request, backend).run();
}

}  // namespace autarky
