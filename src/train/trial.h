// One operation on one shape, timed on a backend.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "ir/op_info.h"

namespace autarky {

// What to time: the shapes with their true element types, and what the inputs are filled with.
struct TrialCase {
  const OpInfo* op = nullptr;
  std::any attrs;
  std::vector<Type> in;
  std::vector<Fill> fill;  // per input; missing ones are normal
};

// Operands in memory, filled as in the middle of a long document: all segments are the same one.
class Trial {
 public:
  // Throws Error where the backend has no kernel for the case.
  Trial(const Backend& backend, const TrialCase& what);

  double seconds();  // of one launch
  const Cost& cost() const { return cost_; }
  std::span<const Tensor> inputs() const { return in_; }
  Types out_types() const { return out_types_; }

 private:
  std::any attrs_;
  std::vector<Type> in_types_, out_types_;
  Cost cost_;
  const Kernel* kernel_ = nullptr;
  std::unique_ptr<Memory> memory_;
  std::vector<Tensor> in_, out_;
  std::span<std::byte> scratch_;
};

}  // namespace autarky
