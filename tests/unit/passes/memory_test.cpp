#include "passes/memory.h"

#include <gtest/gtest.h>

#include "models/decoder.h"
#include "models/presets.h"
#include "ops/accumulate.h"
#include "ops/add.h"
#include "passes/compile.h"

namespace autarky {
namespace {

struct Range {
  std::int64_t begin, end;
  bool meets(const Range& o) const { return begin < o.end && o.begin < end; }
};

Range place(const Buffer& b) { return {b.offset, b.offset + b.bytes}; }

Program step_program(Recompute recompute, int microbatches) {
  ModelConfig config = preset_config("llama-17m");
  config.layers = 3;
  StepOptions options;
  options.recompute = recompute;
  options.microbatches = microbatches;
  options.scratch = [](const Node&, Types in, Types) { return in.empty() ? 0 : in[0].bytes() / 3; };
  return compile_step(build_decoder(config, {DType::bf16, 2, 16}), options, 0);
}

std::vector<Program> programs() {
  std::vector<Program> list;
  for (const auto recompute : {Recompute::none, Recompute::selective, Recompute::full})
    for (const int microbatches : {1, 3}) list.push_back(step_program(recompute, microbatches));
  return list;
}

TEST(Memory, BuffersThatLiveAtTheSameTimeLieApart) {
  for (const Program& p : programs()) {
    int shared = 0;
    for (const auto& a : p.buffers)
      for (const auto& b : p.buffers) {
        const bool both = &a < &b && a.offset >= 0 && b.offset >= 0;
        if (!both || a.same_as >= 0 || b.same_as >= 0 || !place(a).meets(place(b))) continue;
        ++shared;
        EXPECT_FALSE(is_static(a.kind) || is_static(b.kind)) << a.name << " " << b.name;
        EXPECT_TRUE(a.last < b.first || b.last < a.first) << a.name << " " << b.name;
      }
    EXPECT_GT(shared, 0);  // memory is used again
  }
}

TEST(Memory, EveryBufferLiesInItsPartOfTheArena) {
  for (const Program& p : programs())
    for (const auto& b : p.buffers) {
      if (b.first < 0 && !is_static(b.kind)) continue;
      const Range part = is_static(b.kind) ? Range{0, p.static_bytes}
                                           : Range{p.static_bytes, p.static_bytes + p.slot_bytes};
      EXPECT_GE(b.offset, part.begin) << b.name;
      EXPECT_LE(b.offset + b.bytes, part.end) << b.name;
      EXPECT_EQ(b.offset % 64, 0) << b.name;
    }
}

// A frame checked against lifetimes that are found anew: a value lives from the node that gives it
// to the last that reads it, both included.
class FrameCheck {
 public:
  explicit FrameCheck(const Block& block) : graph_(block.graph), frame_(block.frame) {
    first_.assign(graph_.values.size(), -1);
    last_ = first_;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (Value v : graph_.nodes[n].in) last_[std::size_t(v.id)] = int(n);
      for (Value v : graph_.nodes[n].out)
        first_[std::size_t(v.id)] = last_[std::size_t(v.id)] = int(n);
    }
  }

  void expect_apart() const {
    for (const auto& [a, offset] : frame_.offsets) {
      EXPECT_LE(range(a).end, frame_.bytes);
      EXPECT_EQ(offset % 64, 0);
      for (const auto& [b, other] : frame_.offsets)
        if (a != b && first(a) <= first(b) && last(a) >= first(b) && range(a).meets(range(b))) {
          EXPECT_TRUE(last(a) == first(b) && takes_over(first(b), a, b))
              << graph_.name << " %" << a << " %" << b;
        }
      expect_clear_of_scratch(a);
    }
  }

 private:
  int first(int v) const { return first_[std::size_t(v)]; }
  int last(int v) const { return last_[std::size_t(v)]; }
  Range range(int v) const {
    const auto offset = frame_.offsets.at(v);
    return {offset, offset + graph_.type({v}).bytes()};
  }
  bool takes_over(int n, int in, int out) const {
    const Node& node = graph_.nodes[std::size_t(n)];
    const auto aliases = node.op->aliases(node.attrs, node.in.size());
    for (std::size_t o = 0; o < aliases.size() && o < node.out.size(); ++o)
      if (node.out[o].id == out && aliases[o] >= 0 && node.in[std::size_t(aliases[o])].id == in)
        return true;
    return false;
  }
  void expect_clear_of_scratch(int v) const {
    for (int n = first(v); n <= last(v); ++n) {
      const Node& node = graph_.nodes[std::size_t(n)];
      const auto at = frame_.scratch[std::size_t(n)];
      if (at < 0 || node.in.empty()) continue;
      const auto bytes = graph_.type(node.in[0]).bytes() / 3;
      EXPECT_FALSE(range(v).meets({at, at + bytes})) << graph_.name << " %" << v;
      EXPECT_LE(at + bytes, frame_.bytes);
    }
  }

  const Graph& graph_;
  const Frame& frame_;
  std::vector<int> first_, last_;
};

TEST(Memory, ValuesOfAFrameThatLiveAtTheSameTimeLieApart) {
  for (const Program& p : programs())
    for (const auto& block : p.blocks) FrameCheck(block).expect_apart();
}

// x, x -> h;  h + x in place -> y;  y (+ h) -> z.
Frame accumulate_frame(bool read_again, bool whole_h_is_input) {
  const Type type(DType::f32, {{'b', 4}, {'e', 16}});
  Graph graph;
  const Value x = graph.add_input("x", PortKind::activation, type);
  const auto add = [&](const OpInfo& op, std::any attrs, Value a, Value b) {
    return graph.add(op, std::move(attrs), std::vector{a, b}, "test")[0];
  };
  const Value h = whole_h_is_input ? x : add(op_info<Add>(), Add::Attrs{}, x, x);
  const Value y = add(op_info<Accumulate>(), Accumulate::Attrs{}, h, x);
  graph.add_output("z", PortKind::activation,
                   add(op_info<Add>(), Add::Attrs{}, y, read_again ? h : x));
  Program program;
  program.blocks.push_back({graph, {}});
  plan_memory(program, [](const Node&, Types, Types) { return std::int64_t(0); });
  return program.blocks[0].frame;
}

TEST(Memory, AnOperationWorksInPlaceOnlyWhereNothingReadsItsInputAfterwards) {
  const Frame last_reader = accumulate_frame(false, false);  // values: x 0, h 1, y 2, z 3
  EXPECT_EQ(last_reader.offsets.at(2), last_reader.offsets.at(1));
  EXPECT_EQ(last_reader.bytes, 256);
  const Frame read_again = accumulate_frame(true, false);
  EXPECT_NE(read_again.offsets.at(2), read_again.offsets.at(1));
  EXPECT_EQ(read_again.bytes, 512);
}

TEST(Memory, AnOperationDoesNotWriteOverWhatLiesOutsideTheFrame) {
  const Frame frame = accumulate_frame(false, true);  // x 0, y 1, z 2
  EXPECT_FALSE(frame.offsets.contains(0));
  EXPECT_TRUE(frame.offsets.contains(1));
}

}  // namespace
}  // namespace autarky
