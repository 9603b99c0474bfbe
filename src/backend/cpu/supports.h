// Reasons why a kernel does not run an operation.
#pragma once
#include <initializer_list>

#include "backend/kernel_table.h"

namespace autarky::cpu {

constexpr bool is_storage(DType t) { return t == DType::f32 || t == DType::bf16; }

// The element type of a value, and what it may be.
Support wants_storage(const Type& type, std::string_view what);  // f32 or bf16
Support wants(const Type& type, DType dtype, std::string_view what);
Support wants_same(const Type& type, const Type& other, std::string_view what);
// The first refusal, if there is one.
Support first_refusal(std::initializer_list<Support> all);
// All values f32, or all bf16.
Support same_storage(Types in, Types out);

}  // namespace autarky::cpu
