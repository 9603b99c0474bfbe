// rms_norm and rms_norm_grad.
#include "ops/rms_norm.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rms_norm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

template <class T>
HWY_INLINE float inverse_rms(const T* x, std::int64_t e, double eps) {
  Floats squares = hn::Zero(kFloats);
  each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
    const Floats v = load(x + j, part);
    squares = hn::MulAdd(v, v, squares);
  });
  return float(1 / std::sqrt(double(sum_of(squares)) / double(e) + eps));
}

// out = x r w, over rows [begin, end); w [e] in f32
void rms_rows(const KernelArgs& args, const float* w, double eps, std::int64_t begin,
              std::int64_t end) {
  const std::int64_t e = args.in[0].type->dims.back().extent;
  with_storage(args.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = args.in[0].as<const T>() + row * e;
      T* out = args.out[0].as<T>() + row * e;
      const Floats r = all(inverse_rms(x, e, eps));
      each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
        store(hn::Mul(hn::Mul(load(x + j, part), r), load(w + j, part)), out + j, part);
      });
    }
  });
}

// h = x r: dx = r (w dy - h mean(h w dy)), dw += h dy
void rms_grad_rows(const KernelArgs& args, const float* w, double eps, std::int64_t begin,
                   std::int64_t end, float* dw) {
  const std::int64_t e = args.in[0].type->dims.back().extent;
  with_storage(args.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    for (std::int64_t row = begin; row < end; ++row) {
      const T *x = args.in[0].as<const T>() + row * e, *dy = args.in[2].as<const T>() + row * e;
      T* dx = args.out[0].as<T>() + row * e;
      Floats dots = hn::Zero(kFloats);
      each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
        const Floats g = hn::Mul(load(w + j, part), load(dy + j, part));
        dots = hn::MulAdd(g, load(x + j, part), dots);
      });
      const float inverse = inverse_rms(x, e, eps);
      const Floats r = all(inverse), mean = all(inverse * sum_of(dots) / float(e));
      each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
        const Floats d = load(dy + j, part), h = hn::Mul(load(x + j, part), r);
        store(hn::MulAdd(h, d, load(dw + j, part)), dw + j, part);
        const Floats g = hn::Mul(load(w + j, part), d);
        store(hn::Mul(r, hn::NegMulAdd(h, mean, g)), dx + j, part);
      });
    }
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(rms_rows);
HWY_EXPORT(rms_grad_rows);

namespace {

std::int64_t width(const Type& x) { return x.dims.back().extent; }
RowBlocks row_blocks(const Type& x) {
  return RowBlocks(x.elements() / std::max<std::int64_t>(1, width(x)));
}

void launch_forward(const RmsNorm::Attrs& a, const KernelArgs& args) {
  const std::int64_t e = width(*args.in[0].type);
  float* w = ScratchFloats(args.scratch).take(e);
  widen_row(args.in[1].data, args.in[1].dtype(), e, w);
  parallel_ranges(args.in[0].elements() / e, rows_per_piece(e),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(rms_rows)(args, w, a.eps, begin, end);
                  });
}

void launch_grad(const RmsNormGrad::Attrs& a, const KernelArgs& args) {
  const std::int64_t e = width(*args.in[0].type);
  const RowBlocks blocks = row_blocks(*args.in[0].type);
  ScratchFloats scratch(args.scratch);
  float *w = scratch.take(e), *partials = scratch.take(blocks.count * e);
  widen_row(args.in[1].data, args.in[1].dtype(), e, w);
  parallel_for(blocks.count, [&](std::int64_t block, int) {
    float* dw = partials + block * e;
    std::fill_n(dw, e, 0.0f);
    HWY_DYNAMIC_DISPATCH(rms_grad_rows)
    (args, w, a.eps, block * blocks.size, std::min(blocks.rows, (block + 1) * blocks.size), dw);
  });
  sum_partials(partials, blocks.count, e, args.out[1]);
}

}  // namespace

void add_rms_norm_kernels(KernelTable& table) {
  table.add<RmsNorm>(TypedKernel<RmsNorm>{
      "simd",
      [](const auto&, Types in, Types) {
        return first_refusal({wants_storage(in[0], "x"), wants_storage(in[1], "w")});
      },
      launch_forward,
      [](const auto&, Types in, Types) { return ScratchFloats::bytes(width(in[0])); }});
  table.add<RmsNormGrad>(TypedKernel<RmsNormGrad>{
      "simd",
      [](const auto&, Types in, Types) {
        return first_refusal(
            {wants_storage(in[0], "x"), wants_storage(in[1], "w"), wants_same(in[2], in[0], "dy")});
      },
      launch_grad,
      [](const auto&, Types in, Types) {
        return ScratchFloats::bytes(width(in[0])) +
               ScratchFloats::bytes(row_blocks(in[0]).count * width(in[0]));
      }});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
