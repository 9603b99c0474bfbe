#include "backend/cpu/supports.h"

#include <fmt/format.h>

namespace autarky::cpu {

Support wants_storage(const Type& type, std::string_view what) {
  if (is_storage(type.dtype)) return {};
  return unless(true, fmt::format("{} is {}, not f32 or bf16", what, dtype_name(type.dtype)));
}

Support wants(const Type& type, DType dtype, std::string_view what) {
  if (type.dtype == dtype) return {};
  return unless(true,
                fmt::format("{} is {}, not {}", what, dtype_name(type.dtype), dtype_name(dtype)));
}

Support wants_same(const Type& type, const Type& other, std::string_view what) {
  return wants(type, other.dtype, what);
}

Support first_refusal(std::initializer_list<Support> all) {
  for (const Support& s : all)
    if (!s.yes) return s;
  return {};
}

Support same_storage(Types in, Types out) {
  Support first = wants_storage(in[0], "input 0");
  for (std::size_t i = 1; i < in.size() && first.yes; ++i)
    first = wants_same(in[i], in[0], fmt::format("input {}", i));
  for (std::size_t i = 0; i < out.size() && first.yes; ++i)
    first = wants_same(out[i], in[0], fmt::format("output {}", i));
  return first;
}

}  // namespace autarky::cpu
