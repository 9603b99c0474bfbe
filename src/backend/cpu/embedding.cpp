// embedding and embedding_grad: rows of a table by id.
#include "ops/embedding.h"

#include <cstring>

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/supports.h"

namespace autarky::cpu {
namespace {

void launch_embedding(const Embedding::Attrs&, const KernelArgs& x) {
  const Type& table = *x.in[1].type;
  const std::int64_t rows = x.count(table.dims[0]), origin = x.origin(table.dims[0].name);
  const std::int64_t row_bytes = table.dims[1].extent * byte_size(table.dtype);
  const auto* ids = x.in[0].as<const std::int32_t>();
  parallel_ranges(x.in[0].elements(), rows_per_piece(table.dims[1].extent),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t t = begin; t < end; ++t) {
                      const std::int64_t row = ids[t] - origin;
                      std::byte* out = x.out[0].data + t * row_bytes;
                      const auto bytes = std::size_t(row_bytes);
                      if (row < 0 || row >= rows) std::memset(out, 0, bytes);
                      else std::memcpy(out, x.in[1].data + row * row_bytes, bytes);
                    }
                  });
}

constexpr std::int64_t kColumns = 256, kShares = 16;

// A task owns the rows [share, share + 16, ..] of a block of columns, and adds tokens in order.
void launch_embedding_grad(const EmbeddingGrad::Attrs& a, const KernelArgs& x) {
  const std::int64_t rows = x.count(x.out[0].type->dims[0]), e = x.out[0].extent(1);
  const std::int64_t origin = x.origin(a.dim[0]), tokens = x.in[0].elements();
  const auto* ids = x.in[0].as<const std::int32_t>();
  const DType dtype = x.in[1].dtype();
  float* table = x.out[0].as<float>();
  if (!a.accumulate)
    parallel_ranges(x.out[0].elements(), kPieceElements, [&](std::int64_t begin, std::int64_t end) {
      std::fill(table + begin, table + end, 0.0f);
    });
  parallel_for(ceil_div(e, kColumns) * kShares, [&](std::int64_t task, int) {
    const std::int64_t col = task / kShares * kColumns, n = std::min(kColumns, e - col);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t row = ids[t] - origin;
      if (row < 0 || row >= rows || row % kShares != task % kShares) continue;
      accumulate_row(x.in[1].data + (t * e + col) * byte_size(dtype), dtype, n,
                     table + row * e + col);
    }
  });
}

}  // namespace

void add_embedding_kernels(KernelTable& table) {
  table.add<Embedding>(TypedKernel<Embedding>{
      "copy",
      [](const auto&, Types in, Types) {
        return first_refusal({wants(in[0], DType::i32, "ids"), wants_storage(in[1], "the table")});
      },
      launch_embedding,
      {}});
  table.add<EmbeddingGrad>(TypedKernel<EmbeddingGrad>{
      "simd",
      [](const auto& a, Types in, Types out) {
        return first_refusal({wants(in[0], DType::i32, "ids"), wants_storage(in[1], "dy"),
                              a.accumulate ? wants(in[2], DType::f32, "the table") : Support{},
                              wants(out[0], DType::f32, "the result")});
      },
      launch_embedding_grad,
      {}});
}

}  // namespace autarky::cpu
