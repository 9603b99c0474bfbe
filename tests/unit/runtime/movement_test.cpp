// Several operands in one message arrive as each would in one of its own.
#include "runtime/movement.h"

#include <gtest/gtest.h>

#include <mutex>

#include "backend/reference/reference.h"
#include "comm/local/local_comm.h"
#include "comm/timed.h"
#include "ops/movement.h"

namespace autarky {
namespace {

// A tensor with memory of its own.
struct Operand {
  explicit Operand(const std::string& text)
      : type(parse_type(text)), bytes(std::size_t(type.bytes())) {}
  Tensor tensor() { return {bytes.data(), &type}; }

  Type type;
  std::vector<std::byte> bytes;
};

// The operands of a collective: local types before and after it.
struct Moved {
  std::string in, out;
};

Node node_of(const OpInfo& op, std::any attrs) {
  Node node;
  node.op = &op;
  node.attrs = std::move(attrs);
  node.source = "movement_test.cpp:1";
  return node;
}

void carry_out(const Node& node, std::vector<Operand>& in, std::vector<Operand>& out, Comm& comm) {
  Mesh mesh;
  mesh.size(Axis::dp) = comm.size();
  std::vector<Tensor> from, to;
  for (Operand& o : in) from.push_back(o.tensor());
  for (Operand& o : out) to.push_back(o.tensor());
  if (const auto move = start_move(node, from, to, mesh, comm)) move->finish();
}

// Thirds do not add up exactly: the order of sums shows.
void fill(Operand& o, int rank, std::size_t number) {
  std::vector<double> values(std::size_t(o.type.elements()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = double(std::size_t(100 * rank) + 10 * number + i) / 3;
  from_doubles(values, o.tensor());
}

// What rank `rank` of three has after it, together or one by one.
std::vector<std::vector<double>> results(const Node& node, const std::vector<Moved>& operands,
                                         bool together, int rank) {
  std::vector<std::vector<double>> all;
  std::mutex mutex;
  run_local_ranks(3, [&](Comm& comm) {
    std::vector<Operand> in, out;
    for (const Moved& m : operands) {
      in.emplace_back(m.in);
      fill(in.back(), comm.rank(), in.size());
      out.emplace_back(m.out);
    }
    if (together) carry_out(node, in, out, comm);
    else
      for (std::size_t i = 0; i < in.size(); ++i) {
        std::vector<Operand> one_in = {in[i]}, one_out = {out[i]};
        carry_out(node, one_in, one_out, comm);
        out[i].bytes = one_out[0].bytes;
      }
    const std::lock_guard lock(mutex);
    if (comm.rank() == rank)
      for (Operand& o : out) all.push_back(to_doubles(o.tensor()));
  });
  return all;
}

void expect_same(const Node& node, const std::vector<Moved>& operands) {
  for (int rank = 0; rank < 3; ++rank) {
    const auto joined = results(node, operands, true, rank);
    ASSERT_EQ(joined.size(), operands.size());
    EXPECT_EQ(joined, results(node, operands, false, rank)) << node.op->name << " on " << rank;
    for (const auto& values : joined) EXPECT_NE(values, std::vector<double>(values.size(), 0));
  }
}

// Lengths that do not divide by three are padded on the last rank.
TEST(Movement, OfSeveralOperandsIsThatOfEach) {
  expect_same(node_of(op_info<AllReduce>(), AllReduce::Attrs{Axis::dp, Combine::sum}),
              {{"f32[e5]", "f32[e5]"}, {"f32[]", "f32[]"}, {"f32[f2 e5]", "f32[f2 e5]"}});
  expect_same(node_of(op_info<AllGather>(), AllGather::Attrs{Axis::dp, 1}),
              {{"f32[f2 e2]", "f32[f2 e6]"}, {"f32[f4 e2 d3]", "f32[f4 e5 d3]"}});
  expect_same(node_of(op_info<AllGather>(), AllGather::Attrs{Axis::dp, kFlatDim}),
              {{"f32[n4]", "f32[f2 e5]"}, {"f32[n2]", "f32[e6]"}, {"f32[n1]", "f32[e2]"}});
  expect_same(node_of(op_info<ReduceScatter>(), ReduceScatter::Attrs{Axis::dp, 0, Combine::sum}),
              {{"f32[e6]", "f32[e2]"}, {"f32[e5 d3]", "f32[e2 d3]"}});
  expect_same(node_of(op_info<ReduceScatter>(), ReduceScatter::Attrs{Axis::dp, 1, Combine::sum}),
              {{"f32[b2 e6]", "f32[b2 e2]"}, {"f32[b2 e5 d3]", "f32[b2 e2 d3]"}});
  expect_same(
      node_of(op_info<ReduceScatter>(), ReduceScatter::Attrs{Axis::dp, kFlatDim, Combine::sum}),
      {{"f32[f2 e6]", "f32[n4]"}, {"f32[f3 e3]", "f32[n3]"}});
  expect_same(node_of(op_info<AllToAll>(), AllToAll::Attrs{Axis::dp, 0, 1}),
              {{"f32[b2 e6]", "f32[b6 e2]"}, {"f32[b1 e5 d2]", "f32[b3 e2 d2]"}});
}

// Notes where a sum is from and to.
class Noting : public TimedComm {
 public:
  using TimedComm::TimedComm;
  std::unique_ptr<CommHandle> reduce_scatter(std::span<const int> group, DType dtype, Reduction how,
                                             std::span<const std::byte> in,
                                             std::span<std::byte> out,
                                             const CommTag& tag) override {
    from = in.data();
    to = out.data();
    return TimedComm::reduce_scatter(group, dtype, how, in, out, tag);
  }
  const std::byte *from = nullptr, *to = nullptr;
};

TEST(Movement, AGradientIsScatteredWithoutACopy) {
  run_local_ranks(2, [](Comm& ranks) {
    Noting comm(ranks);
    std::vector<Operand> in, out;
    in.emplace_back("f32[v6 e4]");
    fill(in[0], comm.rank(), 0);
    out.emplace_back("f32[n12]");
    carry_out(
        node_of(op_info<ReduceScatter>(), ReduceScatter::Attrs{Axis::dp, kFlatDim, Combine::sum}),
        in, out, comm);
    EXPECT_EQ(comm.from, in[0].bytes.data());
    EXPECT_EQ(comm.to, out[0].bytes.data());
    const auto sums = to_doubles(out[0].tensor());
    EXPECT_FLOAT_EQ(float(sums[1]), float(100 + 2 * (12 * comm.rank() + 1)) / 3);
  });
}

TEST(Movement, GathersEveryOperandInRankOrder) {
  const auto gathered = results(node_of(op_info<AllGather>(), AllGather::Attrs{Axis::dp, 0}),
                                {{"f64[e1]", "f64[e3]"}, {"f64[e2]", "f64[e5]"}}, true, 1);
  const auto third = [](std::initializer_list<double> values) {
    std::vector<double> all;
    for (double v : values) all.push_back(v / 3);
    return all;
  };
  EXPECT_EQ(gathered[0], third({10, 110, 210}));
  EXPECT_EQ(gathered[1], third({20, 21, 120, 121, 220}));
}

}  // namespace
}  // namespace autarky
