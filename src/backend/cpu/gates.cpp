// silu_gate, gelu and their gradients.
#include "ops/gates.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gates.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

void silu_gate(const Piece& p) {
  with_storage(p.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    const T *gate = p.input<T>(0), *up = p.input<T>(1);
    T* out = p.output<T>(0);
    each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR {
      const Floats g = load(gate + i, part);
      store(hn::Mul(hn::Mul(g, sigmoid(g)), load(up + i, part)), out + i, part);
    });
  });
}

// h = sigmoid(g): dgate = dy u h (1 + g (1 - h)), dup = dy g h
void silu_gate_grad(const Piece& p) {
  with_storage(p.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    const T *gate = p.input<T>(0), *up = p.input<T>(1), *dy = p.input<T>(2);
    T *dgate = p.output<T>(0), *dup = p.output<T>(1);
    each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR {
      const Floats g = load(gate + i, part), u = load(up + i, part), h = sigmoid(g);
      const Floats dyh = hn::Mul(load(dy + i, part), h);
      const Floats slope = hn::MulAdd(g, hn::Sub(all(1), h), all(1));
      store(hn::Mul(hn::Mul(dyh, u), slope), dgate + i, part);
      store(hn::Mul(dyh, g), dup + i, part);
    });
  });
}

// (1 + tanh(a)) / 2 = sigmoid(2 a), a = sqrt(2/pi) (x + 0.044715 x^3)
HWY_INLINE Floats gelu_sigmoid(Floats x) {
  const Floats cubic = hn::MulAdd(hn::Mul(x, x), all(float(gelu::kCube)), all(1));
  return sigmoid(hn::Mul(hn::Mul(x, all(float(2 * gelu::kRoot))), cubic));
}

void gelu_forward(const Piece& p) {
  with_storage(p.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    const T* in = p.input<T>(0);
    T* out = p.output<T>(0);
    each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR {
      const Floats x = load(in + i, part);
      store(hn::Mul(x, gelu_sigmoid(x)), out + i, part);
    });
  });
}

// h = gelu_sigmoid(x): dx = dy (h + x h (1 - h) 2 a')
void gelu_grad(const Piece& p) {
  with_storage(p.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    const T *in = p.input<T>(0), *dy = p.input<T>(1);
    T* out = p.output<T>(0);
    each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR {
      const Floats x = load(in + i, part), h = gelu_sigmoid(x);
      const Floats slope = hn::MulAdd(hn::Mul(x, x), all(float(6 * gelu::kRoot * gelu::kCube)),
                                      all(float(2 * gelu::kRoot)));
      const Floats inner = hn::Mul(hn::Mul(x, hn::Sub(all(1), h)), slope);
      store(hn::Mul(load(dy + i, part), hn::MulAdd(h, inner, h)), out + i, part);
    });
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(silu_gate);
HWY_EXPORT(silu_gate_grad);
HWY_EXPORT(gelu_forward);
HWY_EXPORT(gelu_grad);

namespace {
template <Operation Op>
void add_gate(KernelTable& table, void (*run)(const Piece&)) {
  table.add<Op>(
      TypedKernel<Op>{"simd",
                      [](const auto&, Types in, Types out) { return same_storage(in, out); },
                      [run](const auto&, const KernelArgs& x) { parallel_pieces(x, run); },
                      {}});
}
}  // namespace

void add_gate_kernels(KernelTable& table) {
  add_gate<SiluGate>(table, [](const Piece& p) { HWY_DYNAMIC_DISPATCH(silu_gate)(p); });
  add_gate<SiluGateGrad>(table, [](const Piece& p) { HWY_DYNAMIC_DISPATCH(silu_gate_grad)(p); });
  add_gate<Gelu>(table, [](const Piece& p) { HWY_DYNAMIC_DISPATCH(gelu_forward)(p); });
  add_gate<GeluGrad>(table, [](const Piece& p) { HWY_DYNAMIC_DISPATCH(gelu_grad)(p); });
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
