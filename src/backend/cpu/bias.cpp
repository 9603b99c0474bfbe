// add_bias and bias_grad: a row added to every row, and the sum of all rows.
#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/supports.h"
#include "ops/add_bias.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/bias.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

// Rows [begin, end) of `n` elements; the bias may be wider than what it is added to.
void add_to_rows(const KernelArgs& x, std::int64_t n, std::int64_t begin, std::int64_t end) {
  with_storage(x.in[0].dtype(), [&](auto element) HWY_ATTR {
    with_storage(x.in[1].dtype(), [&](auto bias_element) HWY_ATTR {
      using T = decltype(element);
      const auto* bias = x.in[1].as<const decltype(bias_element)>();
      for (std::int64_t row = begin; row < end; ++row) {
        const T* in = x.in[0].as<const T>() + row * n;
        T* out = x.out[0].as<T>() + row * n;
        each_vector(n, [&](std::int64_t j, auto part) HWY_ATTR {
          store(hn::Add(load(in + j, part), load(bias + j, part)), out + j, part);
        });
      }
    });
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(add_to_rows);

namespace {

void launch_add_bias(const AddBias::Attrs&, const KernelArgs& x) {
  const std::int64_t n = x.in[1].elements();
  parallel_ranges(x.in[0].elements() / n, rows_per_piece(n),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(add_to_rows)(x, n, begin, end);
                  });
}

RowBlocks bias_blocks(const Type& dy, const Type& out) {
  return RowBlocks(dy.elements() / std::max<std::int64_t>(1, out.elements()));
}

void launch_bias_grad(const BiasGrad::Attrs&, const KernelArgs& x) {
  const std::int64_t n = x.out[0].elements();
  const DType dtype = x.in[0].dtype();
  const RowBlocks blocks = bias_blocks(*x.in[0].type, *x.out[0].type);
  float* partials = ScratchFloats(x.scratch).take(blocks.count * n);
  parallel_for(blocks.count, [&](std::int64_t block, int) {
    float* sum = partials + block * n;
    std::fill_n(sum, n, 0.0f);
    const std::int64_t end = std::min(blocks.rows, (block + 1) * blocks.size);
    for (std::int64_t row = block * blocks.size; row < end; ++row)
      accumulate_row(x.in[0].data + row * n * byte_size(dtype), dtype, n, sum);
  });
  sum_partials(partials, blocks.count, n, x.out[0]);
}

}  // namespace

void add_bias_kernels(KernelTable& table) {
  table.add<AddBias>(TypedKernel<AddBias>{"simd",
                                          [](const auto&, Types in, Types out) {
                                            const Type bias = in[1];
                                            const Support wide = same_storage({&bias, 1}, {});
                                            return wide.yes ? same_storage(in.first(1), out) : wide;
                                          },
                                          launch_add_bias,
                                          {}});
  table.add<BiasGrad>(TypedKernel<BiasGrad>{
      "simd",
      [](const auto&, Types in, Types out) {
        return first_refusal({wants_storage(in[0], "dy"), wants_storage(out[0], "the result")});
      },
      launch_bias_grad,
      [](const auto&, Types in, Types out) {
        return ScratchFloats::bytes(bias_blocks(in[0], out[0]).count * out[0].elements());
      }});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
