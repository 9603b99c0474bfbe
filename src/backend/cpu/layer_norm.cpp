// layer_norm and layer_norm_grad.
#include "ops/layer_norm.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/layer_norm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

struct Moments {
  float mean, inverse;  // 1 / sqrt(variance + eps)
};

template <class T>
HWY_INLINE Moments moments(const T* x, std::int64_t e, double eps) {
  Floats sum = hn::Zero(kFloats), squares = hn::Zero(kFloats);
  each_vector(e,
              [&](std::int64_t j, auto part) HWY_ATTR { sum = hn::Add(sum, load(x + j, part)); });
  const float mean = sum_of(sum) / float(e);
  each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
    const Floats v = keep(hn::Sub(load(x + j, part), all(mean)), part);
    squares = hn::MulAdd(v, v, squares);
  });
  return {mean, float(1 / std::sqrt(double(sum_of(squares)) / double(e) + eps))};
}

// out = (x - mean) r w + b, over rows [begin, end); w, b [e] in f32
void norm_rows(const KernelArgs& args, const float* w, const float* b, double eps,
               std::int64_t begin, std::int64_t end) {
  const std::int64_t e = args.in[0].type->dims.back().extent;
  with_storage(args.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = args.in[0].as<const T>() + row * e;
      T* out = args.out[0].as<T>() + row * e;
      const Moments m = moments(x, e, eps);
      each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
        const Floats h = hn::Mul(hn::Sub(load(x + j, part), all(m.mean)), all(m.inverse));
        store(hn::MulAdd(h, load(w + j, part), load(b + j, part)), out + j, part);
      });
    }
  });
}

// h = (x - mean) r, g = w dy: dx = r (g - mean(g) - h mean(h g)); sums: dw += h dy, db += dy
void norm_grad_rows(const KernelArgs& args, const float* w, double eps, std::int64_t begin,
                    std::int64_t end, float* dw, float* db) {
  const std::int64_t e = args.in[0].type->dims.back().extent;
  with_storage(args.in[0].dtype(), [&](auto element) HWY_ATTR {
    using T = decltype(element);
    for (std::int64_t row = begin; row < end; ++row) {
      const T *x = args.in[0].as<const T>() + row * e, *dy = args.in[2].as<const T>() + row * e;
      T* dx = args.out[0].as<T>() + row * e;
      const Moments m = moments(x, e, eps);
      const Floats mean = all(m.mean), r = all(m.inverse);
      Floats sum = hn::Zero(kFloats), dots = hn::Zero(kFloats);
      each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
        const Floats g = hn::Mul(load(w + j, part), load(dy + j, part));
        sum = hn::Add(sum, g);
        dots = hn::MulAdd(g, hn::Sub(load(x + j, part), mean), dots);
      });
      const Floats mean_g = all(sum_of(sum) / float(e));
      const Floats mean_hg = all(m.inverse * sum_of(dots) / float(e));
      each_vector(e, [&](std::int64_t j, auto part) HWY_ATTR {
        const Floats d = load(dy + j, part);
        const Floats h = hn::Mul(hn::Sub(load(x + j, part), mean), r);
        store(hn::MulAdd(h, d, load(dw + j, part)), dw + j, part);
        store(hn::Add(d, load(db + j, part)), db + j, part);
        const Floats g = hn::MulSub(load(w + j, part), d, mean_g);
        store(hn::Mul(r, hn::NegMulAdd(h, mean_hg, g)), dx + j, part);
      });
    }
  });
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(norm_rows);
HWY_EXPORT(norm_grad_rows);

namespace {

std::int64_t width(const Type& x) { return x.dims.back().extent; }
RowBlocks row_blocks(const Type& x) {
  return RowBlocks(x.elements() / std::max<std::int64_t>(1, width(x)));
}

void launch_forward(const LayerNorm::Attrs& a, const KernelArgs& args) {
  const std::int64_t e = width(*args.in[0].type);
  ScratchFloats scratch(args.scratch);
  float *w = scratch.take(e), *b = scratch.take(e);
  widen_row(args.in[1].data, args.in[1].dtype(), e, w);
  widen_row(args.in[2].data, args.in[2].dtype(), e, b);
  parallel_ranges(args.in[0].elements() / e, rows_per_piece(e),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(norm_rows)(args, w, b, a.eps, begin, end);
                  });
}

void launch_grad(const LayerNormGrad::Attrs& a, const KernelArgs& args) {
  const std::int64_t e = width(*args.in[0].type);
  const RowBlocks blocks = row_blocks(*args.in[0].type);
  ScratchFloats scratch(args.scratch);
  float* w = scratch.take(e);
  float *dw = scratch.take(blocks.count * e), *db = scratch.take(blocks.count * e);
  widen_row(args.in[1].data, args.in[1].dtype(), e, w);
  parallel_for(blocks.count, [&](std::int64_t block, int) {
    std::fill_n(dw + block * e, e, 0.0f);
    std::fill_n(db + block * e, e, 0.0f);
    HWY_DYNAMIC_DISPATCH(norm_grad_rows)
    (args, w, a.eps, block * blocks.size, std::min(blocks.rows, (block + 1) * blocks.size),
     dw + block * e, db + block * e);
  });
  sum_partials(dw, blocks.count, e, args.out[1]);
  sum_partials(db, blocks.count, e, args.out[2]);
}

}  // namespace

void add_layer_norm_kernels(KernelTable& table) {
  table.add<LayerNorm>(TypedKernel<LayerNorm>{
      "simd",
      [](const auto&, Types in, Types) {
        return first_refusal(
            {wants_storage(in[0], "x"), wants_storage(in[1], "w"), wants_storage(in[2], "b")});
      },
      launch_forward,
      [](const auto&, Types in, Types) { return 2 * ScratchFloats::bytes(width(in[0])); }});
  table.add<LayerNormGrad>(TypedKernel<LayerNormGrad>{
      "simd",
      [](const auto&, Types in, Types) {
        return first_refusal(
            {wants_storage(in[0], "x"), wants_storage(in[1], "w"), wants_same(in[2], in[0], "dy")});
      },
      launch_grad,
      [](const auto&, Types in, Types) {
        return ScratchFloats::bytes(width(in[0])) +
               2 * ScratchFloats::bytes(row_blocks(in[0]).count * width(in[0]));
      }});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
