// Kernels: for each operation an ordered list; the first that supports a node runs it.
#pragma once
#include <any>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ops/operation.h"

namespace autarky {

// One operand on a rank: its memory and its local type (row-major, all dims whole).
struct Tensor {
  std::byte* data = nullptr;
  const Type* type = nullptr;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
  std::int64_t extent(std::size_t dim) const { return type->dims[dim].extent; }
  std::int64_t elements() const { return type->elements(); }
  DType dtype() const { return type->dtype; }
};

struct KernelArgs {
  std::span<const Tensor> in, out;  // results that work in place share their input's memory
  const DimParts& parts;            // of this rank
  std::span<std::byte> scratch;     // what the kernel asked for, 64-byte aligned

  std::int64_t origin(char name) const { return part_of(parts, name, 0).origin; }
  // How many of a dim's indices that are here are no padding.
  std::int64_t count(const Dim& dim) const { return part_of(parts, dim.name, dim.extent).count; }
};

// "Not supported here" is a value with a reason.
struct Support {
  bool yes = true;
  std::string why_not;
};
inline Support unless(bool refused, std::string why) {
  return {!refused, refused ? std::move(why) : ""};
}

// The erased form of a kernel.
struct Kernel {
  std::string name;
  std::function<Support(const std::any&, Types in, Types out)> supports;
  std::function<std::int64_t(const std::any&, Types in, Types out)> scratch;  // bytes
  std::function<void(const std::any&, const KernelArgs&)> launch;
};

template <Operation Op>
struct TypedKernel {
  std::string name;
  std::function<Support(const typename Op::Attrs&, Types in, Types out)> supports;
  std::function<void(const typename Op::Attrs&, const KernelArgs&)> launch;
  std::function<std::int64_t(const typename Op::Attrs&, Types in, Types out)> scratch;  // none: 0
};

struct Choice {
  const Kernel* kernel = nullptr;
  std::vector<std::string> refusals;  // "name: why not" of the kernels before it
};

class KernelTable {
 public:
  template <Operation Op>
  void add(TypedKernel<Op> k) {
    kernels_[std::string(Op::name)].push_back(
        {k.name,
         [f = k.supports](const std::any& a, Types in, Types out) {
           return f ? f(erased::attrs_of<Op>(a), in, out) : Support{};
         },
         [f = k.scratch](const std::any& a, Types in, Types out) {
           return f ? f(erased::attrs_of<Op>(a), in, out) : std::int64_t(0);
         },
         [f = k.launch](const std::any& a, const KernelArgs& args) {
           f(erased::attrs_of<Op>(a), args);
         }});
  }
  void add(std::string_view op, Kernel k) { kernels_[std::string(op)].push_back(std::move(k)); }

  // Local types. No kernel at all: Choice.kernel is null.
  Choice choose(const OpInfo& op, const std::any& attrs, Types in, Types out) const {
    Choice choice;
    const auto it = kernels_.find(std::string(op.name));
    if (it == kernels_.end()) return choice;
    for (const auto& k : it->second) {
      const Support s = k.supports(attrs, in, out);
      if (s.yes) {
        choice.kernel = &k;
        return choice;
      }
      choice.refusals.push_back(k.name + ": " + s.why_not);
    }
    return choice;
  }

 private:
  std::map<std::string, std::vector<Kernel>> kernels_;
};

}  // namespace autarky
