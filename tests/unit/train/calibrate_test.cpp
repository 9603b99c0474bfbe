#include "train/calibrate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "backend/cpu/cpu_backend.h"
#include "ops/catalog.h"

namespace autarky {
namespace {

class StandardCases : public testing::TestWithParam<DType> {};

TEST_P(StandardCases, EachHasAKernelAndCountsWork) {
  const auto backend = make_cpu_backend();
  std::set<std::string_view> ops;
  for (const auto& c : standard_cases(GetParam())) {
    const Trial trial(*backend, c);
    EXPECT_GT(trial.cost().bytes, 0) << c.op->name;
    ops.insert(c.op->name);
  }
  // What takes the time of a step has figures of its own.
  for (const auto* op : {&op_info<Contract>(), &op_info<Attention>(), &op_info<AttentionGrad>(),
                         &op_info<LinearCrossEntropy>(), &op_info<AdamW>()})
    EXPECT_TRUE(ops.contains(op->name)) << op->name;
}

// Segments that differ from token to token once made attention look three times its speed.
TEST_P(StandardCases, AttentionSeesOneLongDocument) {
  const auto backend = make_cpu_backend();
  int seen = 0;
  for (const auto& c : standard_cases(GetParam())) {
    if (c.op->name != Attention::name && c.op->name != AttentionGrad::name) continue;
    const Trial trial(*backend, c);
    for (const int i : {3, 4}) {
      const auto& positions = trial.inputs()[std::size_t(i)];
      EXPECT_EQ(positions.as<std::int32_t>()[positions.type->dims[1].extent - 1],
                positions.type->dims[1].extent - 1);
    }
    for (const int i : {5, 6}) {
      const auto& segments = trial.inputs()[std::size_t(i)];
      const auto* first = segments.as<std::int32_t>();
      EXPECT_TRUE(std::all_of(first, first + segments.elements(), [](auto s) { return s == 0; }));
    }
    ++seen;
  }
  EXPECT_GE(seen, 2);
}

INSTANTIATE_TEST_SUITE_P(Types, StandardCases, testing::Values(DType::f32, DType::bf16),
                         [](const auto& p) { return std::string(dtype_name(p.param)); });

}  // namespace
}  // namespace autarky
