// The conformance suite: tests generated from the catalog, registered before they run.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "conformance/instance.h"

namespace autarky {

using Backends = std::vector<std::unique_ptr<Backend>>;

// An operation's cases for the suite; `differentiable` as the catalog's type says.
struct Subject {
  const OpInfo* op;
  bool differentiable;
  std::vector<Case> cases;
};
std::vector<Subject> subjects();  // of all operations that have cases

// The instances of a case and those of its gradient.
std::vector<Instance> all_instances(const Subject& subject, const Case& c, Size size, DType dtype);

void register_forward_tests(const Backends& backends);  // kernels against the definition
void register_gradient_tests();                         // the gradient against differences
void register_sharding_tests();                         // split against whole, partial inputs
void register_kernel_table(const Backends& backends);   // prints who runs what

template <class Body>
void register_test(const std::string& suite, const std::string& name, Body body) {
  class Generated : public testing::Test {
   public:
    explicit Generated(const Body& b) : body_(b) {}
    void TestBody() override { body_(); }

   private:
    Body body_;
  };
  testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [body]() -> testing::Test* { return new Generated(body); });
}

}  // namespace autarky
