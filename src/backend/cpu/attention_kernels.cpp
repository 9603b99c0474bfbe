// attention and attention_grad.
#include "backend/cpu/attention_core.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/supports.h"
#include "ops/attention.h"

namespace autarky::cpu {
namespace {

// Rows of a tensor [batch, row, heads...].
template <class Rows>
Rows rows_of(const Tensor& t) {
  const std::int64_t row =
      t.extent(1) == 0 || t.extent(0) == 0 ? 0 : t.elements() / t.extent(0) / t.extent(1);
  return {t.data, row * t.extent(1), row};
}

cpu::Attention problem_of(const AttentionAttrs& a, const KernelArgs& args) {
  const auto in = args.in;
  cpu::Attention x;
  x.b = in[0].extent(0), x.s = in[0].extent(1), x.t = in[1].extent(1);
  x.g = in[0].extent(2), x.r = in[0].extent(3), x.d = in[0].extent(4);
  x.padding = x.r - args.count(in[0].type->dims[3]);
  x.dtype = in[0].dtype();
  x.scale = float(a.scale);
  x.window = a.window;
  x.q = rows_of<ReadRows>(in[0]);
  x.k = rows_of<ReadRows>(in[1]);
  x.v = rows_of<ReadRows>(in[2]);
  x.q_pos = in[3].as<const std::int32_t>();
  x.k_pos = in[4].as<const std::int32_t>();
  x.q_seg = in[5].as<const std::int32_t>();
  x.k_seg = in[6].as<const std::int32_t>();
  return x;
}

Support supports_inputs(Types in) {
  return first_refusal(
      {wants_storage(in[0], "q"), wants_same(in[1], in[0], "k"), wants_same(in[2], in[0], "v"),
       wants(in[3], DType::i32, "q positions"), wants(in[4], DType::i32, "k positions"),
       wants(in[5], DType::i32, "q segments"), wants(in[6], DType::i32, "k segments")});
}

void launch_forward(const AttentionAttrs& a, const KernelArgs& x) {
  attention_forward(problem_of(a, x), rows_of<WriteRows>(x.out[0]), x.out[1].as<float>());
}

void launch_grad(const AttentionAttrs& a, const KernelArgs& x) {
  attention_backward(
      problem_of(a, x),
      {rows_of<ReadRows>(x.in[7]), x.in[8].as<const float>(), rows_of<ReadRows>(x.in[9]),
       rows_of<WriteRows>(x.out[0]), rows_of<WriteRows>(x.out[1]), rows_of<WriteRows>(x.out[2])});
}

}  // namespace

void add_attention_kernels(KernelTable& table) {
  table.add<autarky::Attention>(TypedKernel<autarky::Attention>{
      "flash",
      [](const auto&, Types in, Types) { return supports_inputs(in); },
      launch_forward,
      {}});
  table.add<AttentionGrad>(TypedKernel<AttentionGrad>{
      "flash",
      [](const auto&, Types in, Types) {
        return first_refusal({supports_inputs(in), wants_same(in[7], in[0], "o"),
                              wants(in[8], DType::f32, "lse"), wants_same(in[9], in[0], "do")});
      },
      launch_grad,
      {}});
}

}  // namespace autarky::cpu
