// A backend whose every kernel is checked by the operation's definition as it runs.
#pragma once
#include "backend/backend.h"

namespace autarky {

// How far the results of one operation are from its definition on the very same inputs.
struct KernelCheck {
  std::string kernel;
  double distance = 0;  // max |x - y| / max |y| over a result, the greatest of them; y: defined
};

class CheckedBackend : public Backend {
 public:
  explicit CheckedBackend(const Backend& checked);

  std::string_view name() const override { return checked_.name(); }
  const KernelTable& kernels() const override { return table_; }
  std::unique_ptr<Memory> allocate(std::int64_t bytes) const override {
    return checked_.allocate(bytes);
  }
  // Of the kernel that ran last.
  const KernelCheck& last() const { return last_; }

 private:
  void launch(const OpInfo& op, const std::any& attrs, const KernelArgs& args);

  const Backend& checked_;
  std::unique_ptr<Backend> reference_;
  KernelTable table_;
  KernelCheck last_;
};

}  // namespace autarky
