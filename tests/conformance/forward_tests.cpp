#include <fmt/core.h>

#include <set>

#include "base/parallel.h"
#include "conformance/launch.h"
#include "conformance/shards.h"
#include "conformance/suite.h"

namespace autarky {
namespace {

// Compares one launch with the definition, and its bits with those of another number of threads.
void check(const Backend& backend, const Instance& x, std::set<std::string>& kernels) {
  set_thread_count(1);
  const Launched one = launch(backend, x);
  set_thread_count(2);
  const Launched two = launch(backend, x);
  ASSERT_FALSE(one.kernel.empty());
  kernels.insert(fmt::format("{}={}", x.op->name, one.kernel));
  EXPECT_TRUE(one.bits == two.bits) << "other bits with two threads: " << x.label;
  const auto wanted = definition(x);
  for (std::size_t o = 0; o < wanted.size(); ++o)
    expect_close(one.out[o], wanted[o], x.out[o], tolerance(x, o),
                 fmt::format("{} by {}, output {}", x.label, one.kernel, o));
}

void check_case(const Backend& backend, const Subject& s, const Case& c, DType dtype) {
  const int threads = thread_count();
  std::set<std::string> kernels;
  for (Size size : kSizes)
    for (const auto& x : all_instances(s, c, size, dtype)) {
      check(backend, x, kernels);
      if (size != Size::small) continue;
      for (const ShardCut& cut : cuts(x))
        for (const auto& part : shards(x, cut)) check(backend, part, kernels);
    }
  set_thread_count(threads);
  std::string names;
  for (const auto& k : kernels) names += (names.empty() ? "" : " ") + k;
  testing::Test::RecordProperty("kernels", names);
}

}  // namespace

void register_forward_tests(const Backends& backends) {
  for (const auto& s : subjects())
    for (std::size_t c = 0; c < s.cases.size(); ++c)
      for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        if (instances(*s.op, s.cases[c], Size::small, dtype).empty()) continue;
        for (const auto& b : backends)
          register_test(
              std::string(s.op->name),
              fmt::format("case{}_{}_on_{}", c, dtype_name(dtype), b->name()),
              [s, c, dtype, backend = b.get()] { check_case(*backend, s, s.cases[c], dtype); });
      }
}

}  // namespace autarky
