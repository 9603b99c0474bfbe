// What this processor can do: instruction sets, and peaks as measured now.
#pragma once
#include <string>

namespace autarky::cpu {

struct Isa {
  bool avx2 = false;         // with FMA
  bool avx512 = false;       // F, BW, DQ, VL, CD
  bool avx512_bf16 = false;  // vdpbf16ps
};

// The instruction sets in use. AUTARKY_MAX_ISA=avx2 or avx512 (avx512 without bf16 products) in the
// environment at the first call lowers them, for tests; any other value throws InputError.
const Isa& isa();

// bf16 operands are multiplied as they are, sums in f32; else bf16 is storage and products are f32.
bool native_bf16_products();

std::string isa_name();  // "avx512 with bf16 products", "avx2", ... as a report prints it

struct Peaks {
  double f32 = 0;             // flop/s of multiply-adds in registers, all threads
  double bf16 = 0;            // the same for bf16 operands; equals f32 where products run in f32
  double read_bandwidth = 0;  // bytes/s of reads from memory, all threads
};

Peaks measure_peaks();               // takes about half a second
double measure_f32_peak(int tries);  // the best of `tries`, each of 60 ms

}  // namespace autarky::cpu
