// Runs one operation through a kernel table on memory of the test's own.
#pragma once
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/reference/reference.h"
#include "base/rng.h"

namespace autarky {

// A value: its type and bytes.
struct Operand {
  Type type;
  std::vector<std::byte> bytes;

  explicit Operand(Type t) : type(std::move(t)), bytes(std::size_t(type.bytes())) {}
  Operand(Type t, const std::vector<double>& values) : Operand(std::move(t)) {
    from_doubles(values, tensor());
  }
  Tensor tensor() { return {bytes.data(), &type}; }
  std::vector<double> values() { return to_doubles(tensor()); }
};

inline std::vector<double> normal_values(std::int64_t n, std::uint32_t stream) {
  std::vector<double> values(static_cast<std::size_t>(n));
  const Random random{7, Purpose::test, stream};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return values;
}

inline Operand normal(Type type, std::uint32_t stream) {
  const auto n = type.elements();
  return Operand(std::move(type), normal_values(n, stream));
}

// Scratch of exactly the size that was asked for, aligned to 64 bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::int64_t n) : bytes_(std::size_t(n) + 64), size_(std::size_t(n)) {}
  std::span<std::byte> span() {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return std::span(bytes_).subspan((64 - address % 64) % 64, size_);
  }

 private:
  std::vector<std::byte> bytes_;
  std::size_t size_;
};

// The outputs of the kernel that `table` chooses; those that work in place change `in`'s copy.
inline std::vector<Operand> run_kernel(const KernelTable& table, const OpInfo& op,
                                       const std::any& attrs, std::vector<Operand> in,
                                       const DimParts& parts = {}) {
  std::vector<Type> in_types, out_types;
  for (const auto& x : in) in_types.push_back(x.type);
  out_types = output_types(op, attrs, in_types);
  const auto aliases = op.aliases(attrs, in.size());
  std::vector<Operand> out;
  for (const auto& t : out_types) out.emplace_back(t);
  std::vector<Tensor> in_tensors, out_tensors;
  for (auto& x : in) in_tensors.push_back(x.tensor());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int from = i < aliases.size() ? aliases[i] : -1;
    out_tensors.push_back(out[i].tensor());
    if (from >= 0) out_tensors.back().data = in[std::size_t(from)].bytes.data();
  }
  const Kernel& kernel = *table.choose(op, attrs, in_types, out_types).kernel;
  AlignedBytes scratch(kernel.scratch(attrs, in_types, out_types));
  kernel.launch(attrs, KernelArgs{in_tensors, out_tensors, parts, scratch.span()});
  for (std::size_t i = 0; i < out.size(); ++i)
    if (out_tensors[i].data != out[i].bytes.data())
      std::memcpy(out[i].bytes.data(), out_tensors[i].data, out[i].bytes.size());
  return out;
}

// Greatest difference, as a part of the greatest wanted value.
inline double difference(const std::vector<double>& found, const std::vector<double>& wanted) {
  double worst = 0, greatest = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool equal = found[i] == wanted[i];  // infinities too
    if (!equal) worst = std::max(worst, std::abs(found[i] - wanted[i]));
    if (!equal && std::isnan(found[i] - wanted[i])) return INFINITY;
    if (std::isfinite(wanted[i])) greatest = std::max(greatest, std::abs(wanted[i]));
  }
  return worst / std::max(greatest, 1e-30);
}

}  // namespace autarky
