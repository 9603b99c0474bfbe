// add, accumulate and fill.
#include "ops/accumulate.h"
#include "ops/add.h"
#include "ops/fill.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

void add_piece(const Piece& p) {
  with_storage(p.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    const T *x = p.input<T>(0), *y = p.input<T>(1);
    T* out = p.output<T>(0);
    each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR {
      store(hn::Add(load(x + i, part), load(y + i, part)), out + i, part);
    });
  });
}

void fill_piece(const Piece& p, float value) {
  with_storage(p.out[0].dtype(), [&](auto element) HWY_ATTR {
    auto* out = p.output<decltype(element)>(0);
    each_vector(p.n, [&](std::int64_t i, auto part) HWY_ATTR { store(all(value), out + i, part); });
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(add_piece);
HWY_EXPORT(fill_piece);

void add_elementwise_kernels(KernelTable& table) {
  table.add<Add>(TypedKernel<Add>{
      "simd",
      [](const auto&, Types in, Types out) { return same_storage(in, out); },
      [](const auto&, const KernelArgs& x) {
        parallel_pieces(x, [](const Piece& p) { HWY_DYNAMIC_DISPATCH(add_piece)(p); });
      },
      {}});
  table.add<Accumulate>(TypedKernel<Accumulate>{
      "simd",
      [](const auto&, Types in, Types) {
        return first_refusal(
            {wants(in[0], DType::f32, "the accumulator"), wants_storage(in[1], "the addend")});
      },
      [](const auto&, const KernelArgs& x) {
        const DType dtype = x.in[1].dtype();
        parallel_pieces(x, [&](const Piece& p) {
          accumulate_row(x.in[1].data + p.begin * byte_size(dtype), dtype, p.n, p.output<float>(0));
        });
      },
      {}});
  table.add<FillWith>(
      TypedKernel<FillWith>{"simd",
                            [](const auto&, Types in, Types out) { return same_storage(in, out); },
                            [](const auto& a, const KernelArgs& x) {
                              parallel_pieces(x, [&](const Piece& p) {
                                HWY_DYNAMIC_DISPATCH(fill_piece)(p, float(a.value));
                              });
                            },
                            {}});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
