#include "backend/cpu/onednn_tile.h"

#include <array>
#include <map>
#include <unordered_map>
#include <utility>

#include <dnnl.hpp>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "backend/cpu/cpu_info.h"
#include "backend/cpu/scratch.h"
#include "base/error.h"

namespace autarky::cpu {
namespace {

using dnnl::memory;

// oneDNN asks OpenMP for the number of threads, when a primitive is made and
// when it runs.
class OneThread {
 public:
#ifdef _OPENMP
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ > 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ > 1) omp_set_num_threads(before_);
  }
#else
  OneThread() = default;
#endif
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = 1;
};

dnnl::engine make_engine() {
#ifdef __x86_64__  // before oneDNN's first choice: AUTARKY_MAX_ISA holds for it
                   // too
  if (!isa().avx512) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  else if (!isa().avx512_bf16) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core);
#endif
  return dnnl::engine(dnnl::engine::kind::cpu, 0);
}

const dnnl::engine& engine() {
  static const dnnl::engine cpu = make_engine();
  return cpu;
}

// What a primitive is made for: m, n, k; strides of a, b and c; accumulate.
using Key = std::array<std::int64_t, 9>;

Key key_of(const TileProduct& t) {
  const Operand a = t.a.plain(t.m, t.k), b = t.b.plain(t.k, t.n);
  return {t.m,          t.n,          t.k,  a.row_stride, a.col_stride,
          b.row_stride, b.col_stride, t.ld, t.accumulate};
}

dnnl::matmul::primitive_desc describe(const Key& key) {
  const auto [m, n, k, a_row, a_col, b_row, b_col, ld, accumulate] = key;
  const memory::desc a({m, k}, memory::data_type::bf16, memory::dims{a_row, a_col});
  const memory::desc b({k, n}, memory::data_type::bf16, memory::dims{b_row, b_col});
  const memory::desc c({m, n}, memory::data_type::f32, memory::dims{ld, 1});
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, c, attributes};
#else
  return {{a, b, c}, attributes, engine()};
#endif
}

// A primitive with the memory objects it is called on.
class Prepared {
 public:
  explicit Prepared(const dnnl::matmul::primitive_desc& described)
      : primitive_(described),
        a_(described.src_desc(), engine(), nullptr),
        b_(described.weights_desc(), engine(), nullptr),
        c_(described.dst_desc(), engine(), nullptr),
        scratchpad_(described.scratchpad_desc(), engine(), nullptr),
        scratchpad_bytes_(std::int64_t(described.scratchpad_desc().get_size())),
        arguments_{{DNNL_ARG_SRC, a_},
                   {DNNL_ARG_WEIGHTS, b_},
                   {DNNL_ARG_DST, c_},
                   {DNNL_ARG_SCRATCHPAD, scratchpad_}} {}

  void run(const TileProduct& t, const dnnl::stream& stream, Scratch& scratch) {
    a_.set_data_handle(const_cast<void*>(t.a.data));  // read only
    b_.set_data_handle(const_cast<void*>(t.b.data));
    c_.set_data_handle(t.c);
    if (scratchpad_bytes_ > 0) scratchpad_.set_data_handle(scratch.get(scratchpad_bytes_ / 4 + 1));
    primitive_.execute(stream, arguments_);
  }

 private:
  dnnl::matmul primitive_;
  memory a_, b_, c_, scratchpad_;
  std::int64_t scratchpad_bytes_;
  std::unordered_map<int, memory> arguments_;  // share the memory objects above
};

// The bf16 primitives of one thread.
class Primitives {
 public:
  void run(const TileProduct& t) {
    const Key key = key_of(t);
    auto found = prepared_.find(key);
    if (found == prepared_.end()) {
      if (prepared_.size() >= kMost) prepared_.clear();
      found = prepared_.emplace(key, Prepared(describe(key))).first;
    }
    found->second.run(t, stream_, scratch_);
  }

 private:
  static constexpr std::size_t kMost = 1024;  // oneDNN's own cache keeps as many
  dnnl::stream stream_{engine()};
  std::map<Key, Prepared> prepared_;
  Scratch scratch_;
};

// Not the matmul primitive, which comes to the same loops: docs/decisions/0002.
void multiply_floats(const TileProduct& t) {
  const Operand a = t.a.plain(t.m, t.k), b = t.b.plain(t.k, t.n);
  const bool by_rows_a = a.col_stride == 1, by_rows_b = b.col_stride == 1;
  const auto status =
      dnnl::sgemm(by_rows_a ? 'N' : 'T', by_rows_b ? 'N' : 'T', t.m, t.n, t.k, 1.0f,
                  static_cast<const float*>(a.data), by_rows_a ? a.row_stride : a.col_stride,
                  static_cast<const float*>(b.data), by_rows_b ? b.row_stride : b.col_stride,
                  t.accumulate ? 1.0f : 0.0f, t.c, t.ld);
  AUTARKY_CHECK(status == dnnl::status::success, "oneDNN refuses a product of f32");
}

std::string find_refusal() {
  if (!native_bf16_products()) return "the processor has no bf16 products (" + isa_name() + ")";
  const OneThread one;
  const std::int64_t n = 16;
  try {  // every pair of layouts, with and without a sum
    for (int i = 0; i < 8; ++i)
      describe({n, n, n, i & 1 ? 1 : n, i & 1 ? n : 1, i & 2 ? 1 : n, i & 2 ? n : 1, n, i / 4});
  } catch (const dnnl::error& e) {
    return std::string("oneDNN has no bf16 product here: ") + e.what();
  }
  return "";
}

}  // namespace

void multiply(const TileProduct& tile) {
  const OneThread one;
  engine();  // sets the instruction sets
  if (tile.a.dtype == DType::f32) return multiply_floats(tile);
  thread_local Primitives mine;
  try {
    mine.run(tile);
  } catch (const dnnl::error& e) {
    throw Error(std::string("oneDNN's matrix product: ") + e.what());
  }
}

const std::string& bf16_product_refusal() {
  static const std::string reason = find_refusal();
  return reason;
}

DType product_dtype(DType a, DType b) {
  const bool halves = a == DType::bf16 && b == DType::bf16;
  return halves && bf16_product_refusal().empty() ? DType::bf16 : DType::f32;
}

}  // namespace autarky::cpu
