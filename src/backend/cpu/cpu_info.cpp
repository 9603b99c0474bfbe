#include "backend/cpu/cpu_info.h"

#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "hwy/targets.h"

namespace autarky::cpu {
namespace {

Isa detect() {
  Isa found;
#ifdef __x86_64__
  found.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  found.avx512 = found.avx2 && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  found.avx512_bf16 = found.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  return found;
}

Isa detect_and_limit() {
  Isa found = detect();
  const char* wanted = std::getenv("AUTARKY_MAX_ISA");
  if (!wanted || !*wanted) return found;
  const std::string_view limit = wanted;
  if (limit != "avx2" && limit != "avx512")
    throw InputError("unknown instruction set")
        .at("environment variable AUTARKY_MAX_ISA")
        .found(limit)
        .wanted("avx2 or avx512")
        .hint("unset it to use what the processor has");
  found.avx512_bf16 = false;
  if (limit == "avx2") found.avx512 = false;
#ifdef __x86_64__  // better targets have lower bits
  if (limit == "avx2") hwy::DisableTargets(HWY_AVX2 - 1);
#endif
  return found;
}

}  // namespace

const Isa& isa() {
  static const Isa found = detect_and_limit();
  return found;
}

bool native_bf16_products() { return isa().avx512_bf16; }

std::string isa_name() {
  if (isa().avx512_bf16) return "avx512 with bf16 products";
  if (isa().avx512) return "avx512";
  return isa().avx2 ? "avx2" : "baseline";
}

}  // namespace autarky::cpu
