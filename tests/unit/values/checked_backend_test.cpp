// A kernel that is not its operation is seen.
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "ops/catalog.h"
#include "values/checked_backend.h"

namespace autarky {
namespace {

// Adds, but for element `wrong`, which it leaves out.
class WrongBackend : public Backend {
 public:
  explicit WrongBackend(std::int64_t wrong) {
    table_.add<Add>({"wrong",
                     {},
                     [wrong](const Add::Attrs&, const KernelArgs& k) {
                       for (std::int64_t i = 0; i < k.out[0].elements(); ++i)
                         k.out[0].as<float>()[i] =
                             k.in[0].as<float>()[i] + (i == wrong ? 0 : k.in[1].as<float>()[i]);
                     },
                     {}});
  }
  std::string_view name() const override { return "wrong"; }
  const KernelTable& kernels() const override { return table_; }
  std::unique_ptr<Memory> allocate(std::int64_t) const override { return nullptr; }

 private:
  KernelTable table_;
};

// Of 100 sums of i and 1.
double distance_with(std::int64_t wrong, bool in_place) {
  const WrongBackend backend(wrong);
  const CheckedBackend checked(backend);
  const Type type(DType::f32, {{'a', 100}});
  std::vector<float> x(100), y(100, 1), z(100);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = float(i);
  const auto tensor = [&](std::vector<float>& v) {
    return Tensor{reinterpret_cast<std::byte*>(v.data()), &type};
  };
  const std::vector<Tensor> in = {tensor(x), tensor(y)}, out = {tensor(in_place ? x : z)};
  const std::vector<Type> types = {type, type};
  const Choice choice = checked.kernels().choose(op_info<Add>(), Add::Attrs{}, types, {&type, 1});
  choice.kernel->launch(Add::Attrs{}, {in, out, {}, {}});
  EXPECT_EQ((in_place ? x : z)[5], wrong == 5 ? 5 : 6);
  EXPECT_EQ(checked.last().kernel, "wrong");
  return checked.last().distance;
}

TEST(CheckedBackend, SeesAKernelThatIsWrongInOneElement) {
  for (const bool in_place : {false, true}) {
    EXPECT_EQ(distance_with(-1, in_place), 0);
    EXPECT_DOUBLE_EQ(distance_with(5, in_place), 1.0 / 100);
    EXPECT_DOUBLE_EQ(distance_with(99, in_place), 1.0 / 100);
  }
}

}  // namespace
}  // namespace autarky
