// The suite's own eyes: kernels with a fault are seen.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "backend/host_memory.h"
#include "conformance/launch.h"
#include "ops/add.h"

namespace autarky {
namespace {

// A backend with one kernel for `add`.
class OneKernel : public Backend {
 public:
  using Body = std::function<void(const KernelArgs&)>;
  explicit OneKernel(Body body) {
    table_.add<Add>({"faulty", nullptr,
                     [body](const Add::Attrs&, const KernelArgs& args) { body(args); },
                     [](const Add::Attrs&, Types, Types) { return std::int64_t(40); }});
  }
  std::string_view name() const override { return "one_kernel"; }
  const KernelTable& kernels() const override { return table_; }
  std::unique_ptr<Memory> allocate(std::int64_t bytes) const override {
    return allocate_host(bytes);
  }

 private:
  KernelTable table_;
};

Instance sample_add() {
  const OpInfo& op = op_info<Add>();
  return instances(op, op.cases()[0], Size::odd, DType::f32)[0];
}

void add(const KernelArgs& args) {
  for (std::int64_t i = 0; i < args.out[0].elements(); ++i)
    args.out[0].as<float>()[i] = args.in[0].as<float>()[i] + args.in[1].as<float>()[i];
}

// Failures that a launch and the comparison of its result report.
int failures_with(const OneKernel::Body& fault) {
  const OneKernel backend([&](const KernelArgs& args) {
    add(args);
    fault(args);
  });
  const Instance x = sample_add();
  testing::TestPartResultArray failures;
  const testing::ScopedFakeTestPartResultReporter reporter(
      testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
  const Launched result = launch(backend, x);
  expect_close(result.out[0], definition(x)[0], x.out[0], tolerance(x, 0), "add");
  return failures.size();
}

TEST(Suite, AcceptsACorrectKernel) {
  EXPECT_EQ(failures_with([](const KernelArgs&) {}), 0);
}
TEST(Suite, SeesAWriteBehindAResult) {
  EXPECT_EQ(
      failures_with([](const KernelArgs& a) { a.out[0].as<float>()[a.out[0].elements()] = 0; }), 1);
}
TEST(Suite, SeesAWriteBeforeAResult) {
  EXPECT_EQ(failures_with([](const KernelArgs& a) { a.out[0].as<float>()[-1] = 0; }), 1);
}
TEST(Suite, SeesAWriteBehindTheScratch) {
  EXPECT_EQ(failures_with([](const KernelArgs& a) { a.scratch.data()[40] = std::byte(0); }), 1);
}
TEST(Suite, SeesAnInputThatWasChanged) {
  EXPECT_EQ(failures_with([](const KernelArgs& a) { a.in[1].as<float>()[3] += 1; }), 1);
}
TEST(Suite, SeesAWrongElement) {
  EXPECT_EQ(failures_with([](const KernelArgs& a) { a.out[0].as<float>()[5] += 1e-3f; }), 1);
}
TEST(Suite, SeesAnElementThatWasNotWritten) {
  EXPECT_EQ(
      failures_with([](const KernelArgs& a) { std::fill_n(a.out[0].data, 4, std::byte(0xFF)); }),
      1);
}
TEST(Suite, GivesScratchThatHoldsNothing) {
  EXPECT_EQ(failures_with([](const KernelArgs& a) {
              a.out[0].as<float>()[0] += *reinterpret_cast<const float*>(a.scratch.data());
            }),
            1);
}

}  // namespace
}  // namespace autarky
