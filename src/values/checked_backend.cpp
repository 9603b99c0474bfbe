#include "values/checked_backend.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/reference/reference.h"
#include "base/error.h"
#include "ops/catalog.h"
#include "values/summary.h"

namespace autarky {
namespace {

using Bytes = std::vector<std::byte>;

std::vector<Type> types_of(std::span<const Tensor> tensors) {
  std::vector<Type> types;
  for (const Tensor& t : tensors) types.push_back(*t.type);
  return types;
}

const Kernel& chosen(const Backend& backend, const OpInfo& op, const std::any& attrs, Types in,
                     Types out) {
  const Choice choice = backend.kernels().choose(op, attrs, in, out);
  AUTARKY_CHECK(choice.kernel, op.name);
  return *choice.kernel;
}

// Operands with memory of their own: copies of the inputs; a result that works in place shares its
// input's.
struct Copies {
  explicit Copies(const KernelArgs& args) {
    for (const Tensor& t : args.in) in.push_back(own(Bytes(t.data, t.data + t.type->bytes()), t));
    for (const Tensor& t : args.out) {
      const auto shared = std::find_if(args.in.begin(), args.in.end(),
                                       [&](const Tensor& i) { return i.data == t.data; });
      out.push_back(shared == args.in.end()
                        ? own(Bytes(std::size_t(t.type->bytes())), t)
                        : Tensor{in[std::size_t(shared - args.in.begin())].data, t.type});
    }
  }
  Tensor own(Bytes bytes, const Tensor& like) {
    memory.push_back(std::move(bytes));
    return {memory.back().data(), like.type};
  }
  std::vector<Bytes> memory;
  std::vector<Tensor> in, out;
};

double distance_of(const Tensor& made, const Tensor& defined) {
  const auto numbers = [](const Tensor& t) {
    const auto sum = exact_sum_of(t);
    return sum ? std::vector<double>{*sum} : to_doubles(t);
  };
  const auto x = numbers(made), y = numbers(defined);
  double apart = 0, greatest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    const double d = std::abs(x[i] - y[i]);
    apart = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(apart, d);
  }
  for (const double v : y)
    if (std::isfinite(v)) greatest = std::max(greatest, std::abs(v));
  if (apart == 0) return 0;
  return greatest > 0 ? apart / greatest : std::numeric_limits<double>::infinity();
}

}  // namespace

CheckedBackend::CheckedBackend(const Backend& checked)
    : checked_(checked), reference_(make_reference_backend()) {
  Catalog::each([&]<Operation Op>() {
    const OpInfo& op = op_info<Op>();
    if (op.movement != Movement::none) return;
    table_.add(op.name, {"checked", [](const std::any&, Types, Types) { return Support{}; },
                         [this, &op](const std::any& attrs, Types in, Types out) {
                           return chosen(checked_, op, attrs, in, out).scratch(attrs, in, out);
                         },
                         [this, &op](const std::any& attrs, const KernelArgs& args) {
                           launch(op, attrs, args);
                         }});
  });
}

void CheckedBackend::launch(const OpInfo& op, const std::any& attrs, const KernelArgs& args) {
  const auto in = types_of(args.in), out = types_of(args.out);
  const Copies copies(args);
  const Kernel& kernel = chosen(checked_, op, attrs, in, out);
  kernel.launch(attrs, args);
  chosen(*reference_, op, attrs, in, out).launch(attrs, {copies.in, copies.out, args.parts, {}});
  last_ = {kernel.name, 0};
  for (std::size_t o = 0; o < args.out.size(); ++o)
    last_.distance = std::max(last_.distance, distance_of(args.out[o], copies.out[o]));
}

}  // namespace autarky
