#include <fmt/core.h>

#include <cmath>

#include "base/rng.h"
#include "conformance/suite.h"
#include "passes/autodiff.h"

namespace autarky {
namespace {

constexpr double kStep = 0x1p-12, kTolerance = 1e-6;  // of the greatest gradient of the input
constexpr std::uint64_t kElements = 24;               // of each input that are tried

// An instance in f64, the gradients of sum(dout * out) by its graph, and the same sum by its
// definition.
class Gradient {
 public:
  Gradient(Instance x, const Case& c)
      : x_(std::move(x)), joint_(differentiate(graph_of(x_, c.auxiliary))) {
    for (const auto& p : joint_.inputs)
      given_[p.name] = p.name.starts_with("in")
                           ? x_.values[std::stoul(p.name.substr(2))]
                           : normal_values(joint_.type(p.value).elements(), 78);
    values_ = evaluate(joint_, given_);
  }

  // The gradient of an input, or nothing if it has none.
  const Values* of(std::size_t input) const {
    const Port* p = joint_.find_output(fmt::format("din{}", input));
    return p ? &values_[std::size_t(p->value.id)] : nullptr;
  }
  double difference(std::size_t input, std::size_t element) {
    return (moved(input, element, kStep) - moved(input, element, -kStep)) / (2 * kStep);
  }
  const Instance& instance() const { return x_; }

 private:
  double moved(std::size_t input, std::size_t element, double by) {
    double& v = x_.values[input][element];
    const double before = v;
    v += by;
    const auto out = definition(x_);
    v = before;
    double sum = 0;
    for (std::size_t o = 0; o < out.size(); ++o) {
      const auto dout = given_.find(fmt::format("dout{}", o));
      if (dout == given_.end()) continue;
      for (std::size_t i = 0; i < out[o].size(); ++i) sum += dout->second[i] * out[o][i];
    }
    return sum;
  }

  Instance x_;
  Graph joint_;
  std::map<std::string, Values> given_;
  std::vector<Values> values_;
};

void check_input(Gradient& gradient, std::size_t input, const Values& found) {
  double greatest = 0;
  for (double g : found) greatest = std::max(greatest, std::abs(g));
  EXPECT_GT(greatest, 0) << gradient.instance().label << ", input " << input;
  const Random random{3, Purpose::test, std::uint32_t(input)};
  for (std::uint64_t i = 0; i < kElements; ++i) {
    const auto element = found.size() <= kElements ? i : random.bits(i) % found.size();
    if (element >= found.size()) return;
    EXPECT_NEAR(found[element], gradient.difference(input, element), kTolerance * greatest)
        << gradient.instance().label << ", input " << input << ", element " << element;
  }
}

void check_gradient(const Subject& s, const Case& c, Size size) {
  for (auto& x : instances(*s.op, c, size, DType::f64)) {
    Gradient gradient(std::move(x), c);
    int tried = 0;
    for (std::size_t i = 0; i < c.in.size(); ++i)
      if (const Values* found = gradient.of(i)) {
        check_input(gradient, i, *found);
        ++tried;
      }
    EXPECT_GT(tried, 0);
  }
}

}  // namespace

void register_gradient_tests() {
  for (const auto& s : subjects())
    for (std::size_t c = 0; s.differentiable && c < s.cases.size(); ++c)
      register_test(std::string(s.op->name), fmt::format("case{}_gradient_is_the_slope", c),
                    [s, c] { check_gradient(s, s.cases[c], Size::small); });
}

}  // namespace autarky
