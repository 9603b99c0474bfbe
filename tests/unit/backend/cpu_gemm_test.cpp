#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/cpu_info.h"
#include "backend/cpu/gemm.h"
#include "base/parallel.h"
#include "base/rng.h"

namespace autarky {
namespace {

using cpu::GemmOperand;
using cpu::GemmShape;

// A matrix [rows, cols] of f32 or bf16, by rows or by columns.
class Matrix {
 public:
  Matrix(std::int64_t rows, std::int64_t cols, DType dtype, bool by_columns, std::uint64_t seed)
      : row_stride_(by_columns ? 1 : cols + 3),
        col_stride_(by_columns ? rows + 5 : 1),
        dtype_(dtype),
        bytes_(std::size_t((rows + 5) * (cols + 3) * byte_size(dtype))) {
    const Random random{seed};
    for (std::int64_t i = 0; i < std::int64_t(bytes_.size()) / byte_size(dtype); ++i)
      set(i, float(random.normal(std::uint64_t(i))));
  }
  float at(std::int64_t row, std::int64_t col) const {
    const char* p = bytes_.data() + (row * row_stride_ + col * col_stride_) * byte_size(dtype_);
    float x;
    bf16 y;
    if (dtype_ == DType::f32) return std::memcpy(&x, p, 4), x;
    return std::memcpy(&y, p, 2), float(y);
  }
  GemmOperand operand() const { return {bytes_.data(), dtype_, row_stride_, col_stride_}; }

 private:
  void set(std::int64_t i, float x) {
    const bf16 y(x);
    if (dtype_ == DType::f32) std::memcpy(bytes_.data() + i * 4, &x, 4);
    else std::memcpy(bytes_.data() + i * 2, &y, 2);
  }
  std::int64_t row_stride_, col_stride_;
  DType dtype_;
  std::vector<char> bytes_;
};

double product_at(const Matrix& a, const Matrix& b, std::int64_t k, std::int64_t i,
                  std::int64_t j) {
  double sum = 0;
  for (std::int64_t c = 0; c < k; ++c) sum += double(a.at(i, c)) * b.at(c, j);
  return sum;
}

// C with a guard column at the right and a guard row below, checked at some
// elements.
void check(const GemmShape& s, DType da, DType db, bool a_by_columns, bool b_by_columns,
           bool accumulate) {
  const Matrix a(s.m, s.k, da, a_by_columns, 1), b(s.k, s.n, db, b_by_columns, 2);
  const std::int64_t ld = s.n + 1;
  std::vector<float> c(std::size_t((s.m + 1) * ld), 0.5f);
  cpu::gemm(s, a.operand(), b.operand(), {c.data(), DType::f32, ld, accumulate});
  const std::int64_t step = std::max<std::int64_t>(s.m * s.n / 997, 1);
  for (std::int64_t e = 0; e < s.m * s.n; e += step) {
    const std::int64_t i = e / s.n, j = e % s.n;
    const double wanted = product_at(a, b, s.k, i, j) + (accumulate ? 0.5 : 0.0);
    ASSERT_NEAR(c[std::size_t(i * ld + j)], wanted, 2e-6 * double(s.k) + 1e-5)
        << s.m << " x " << s.n << " x " << s.k << " at " << i << ", " << j;
  }
  for (std::int64_t i = 0; i < s.m; ++i) ASSERT_EQ(c[std::size_t(i * ld + s.n)], 0.5f);
  for (std::int64_t j = 0; j < ld; ++j) ASSERT_EQ(c[std::size_t(s.m * ld + j)], 0.5f);
}

const GemmShape kShapes[] = {{1, 1, 1},    {1, 70, 300},  {2, 130, 17},    {3, 5, 513},
                             {7, 33, 256}, {145, 40, 30}, {300, 270, 259}, {144, 4100, 8}};

TEST(CpuGemm, matches_plain_loops_for_every_layout_and_dtype) {
  int turn = 0;
  for (const GemmShape& s : kShapes)
    for (const DType da : {DType::f32, DType::bf16})
      for (const DType db : {DType::f32, DType::bf16}) {
        ++turn;
        check(s, da, db, turn % 2 == 0, turn / 2 % 2 == 0, turn % 3 == 0);
        check(s, da, db, turn % 2 == 1, turn / 2 % 2 == 0, turn % 3 == 1);
      }
}

// A Matrix of 1021 columns by rows, or of 1019 rows by columns, has lines 1024 elements apart.
TEST(CpuGemm, lines_4_KiB_apart_are_multiplied_from_a_copy) {
  for (const bool by_columns : {false, true}) {
    check({1019, 1021, 70}, DType::f32, DType::f32, by_columns, !by_columns, false);
    check({60, 30, by_columns ? 1019 : 1021}, DType::f32, DType::f32, false, by_columns, true);
    check({1019, 1021, 3000, true}, DType::f32, DType::bf16, true, by_columns, true);
  }
}

TEST(CpuGemm, weight_gradients_are_summed_in_parts_of_k) {
  const GemmShape s{40, 50, 5000, true};
  EXPECT_GT(cpu::gemm_parts(s), 1);
  EXPECT_EQ(cpu::gemm_parts({40, 50, 5000}), 1);
  check(s, DType::f32, DType::f32, true, false, false);
  check(s, DType::bf16, DType::bf16, true, false, true);
}

TEST(CpuGemm, empty_extents_write_zeros_or_nothing) {
  std::vector<float> c(6, 7.0f);
  cpu::gemm({2, 3, 0}, {nullptr, DType::f32, 0, 1}, {nullptr, DType::f32, 3, 1},
            {c.data(), DType::f32, 3, true});
  EXPECT_EQ(c, std::vector<float>(6, 7.0f));
  cpu::gemm({2, 3, 0}, {nullptr, DType::f32, 0, 1}, {nullptr, DType::f32, 3, 1},
            {c.data(), DType::f32, 3, false});
  EXPECT_EQ(c, std::vector<float>(6, 0.0f));
  cpu::gemm({0, 3, 4}, {}, {}, {});
}

std::vector<float> product(const GemmShape& s, const Matrix& a, const Matrix& b) {
  std::vector<float> c(std::size_t(s.m * s.n));
  cpu::gemm(s, a.operand(), b.operand(), {c.data(), DType::f32, s.n, false});
  return c;
}

TEST(CpuGemm, bits_do_not_depend_on_the_thread_count) {
  const int threads = thread_count();
  for (const GemmShape& s : {GemmShape{300, 300, 600}, {1, 900, 700}, {48, 64, 9000, true}}) {
    const Matrix a(s.m, s.k, DType::f32, false, 1), b(s.k, s.n, DType::f32, false, 2);
    set_thread_count(1);
    const std::vector<float> one = product(s, a, b);
    set_thread_count(3);
    EXPECT_EQ(product(s, a, b), one);
    set_thread_count(threads);
  }
}

// The rows of `all` that a product with fewer rows has, and its own.
void expect_same_rows(const std::vector<float>& some, const std::vector<float>& all) {
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
}

TEST(CpuGemm, bits_of_a_row_do_not_depend_on_the_number_of_rows_up_to_8) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const bool by_columns : {true, false}) {
      const std::int64_t n = 190, k = 700;
      const Matrix a(8, k, dtype, false, 1), b(k, n, dtype, by_columns, 2);
      const std::vector<float> all = product({8, n, k}, a, b);
      for (std::int64_t m = 1; m < 8; ++m) expect_same_rows(product({m, n, k}, a, b), all);
    }
}

TEST(CpuGemm, bits_of_a_row_do_not_depend_on_the_number_of_rows_beyond_8) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    if (dtype == DType::bf16 && cpu::native_bf16_products()) continue;  // not promised
    for (const bool by_columns : {true, false}) {
      const std::int64_t n = 400, k = 700;
      const Matrix a(820, k, dtype, !by_columns, 1), b(k, n, dtype, by_columns, 2);
      const std::vector<float> all = product({820, n, k}, a, b);
      for (const std::int64_t m : {9, 13, 47, 48, 49, 145, 255, 257, 333, 512, 640, 769}) {
        SCOPED_TRACE(m);
        expect_same_rows(product({m, n, k}, a, b), all);
      }
    }
  }
}

TEST(CpuGemm, the_epilogue_sees_every_element_once_before_it_is_stored) {
  const std::int64_t m = 310, n = 300, k = 64;
  const Matrix a(m, k, DType::bf16, false, 1), b(k, n, DType::bf16, true, 2);
  std::vector<bf16> c(std::size_t(m * n));
  std::atomic<std::int64_t> seen = 0;
  const auto add_column = [&](const cpu::GemmTile& tile) {
    for (std::int64_t i = 0; i < tile.rows; ++i)
      for (std::int64_t j = 0; j < tile.cols; ++j)
        tile.values[i * tile.ld + j] += float(tile.row0 + i) + 0.5f * float(tile.col0 + j);
    seen += tile.rows * tile.cols;
  };
  cpu::gemm({m, n, k}, a.operand(), b.operand(), {c.data(), DType::bf16, n, false}, add_column);
  EXPECT_EQ(seen, m * n);
  for (std::int64_t e = 0; e < m * n; e += 31) {
    const std::int64_t i = e / n, j = e % n;
    const double wanted = product_at(a, b, k, i, j) + double(i) + 0.5 * double(j);
    ASSERT_NEAR(float(c[std::size_t(e)]), wanted, std::abs(wanted) / 256 + 1e-3);
  }
}

TEST(CpuGemm, scratch_is_bounded_and_known_before) {
  EXPECT_EQ(cpu::gemm_scratch_bytes({0, 5, 5}, 2), 0);
  const GemmShape large{4096, 50257, 768};
  EXPECT_LT(cpu::gemm_scratch_bytes(large, 2), 64 << 20);
  EXPECT_GT(cpu::gemm_scratch_bytes(large, 4), cpu::gemm_scratch_bytes(large, 2));
}

TEST(CpuInfo, peaks_are_positive_and_bf16_is_no_slower_than_f32) {
  const cpu::Peaks peaks = cpu::measure_peaks();
  EXPECT_GT(peaks.f32, 1e8);
  EXPECT_GT(peaks.read_bandwidth, 1e7);
  if (!cpu::native_bf16_products()) {
    EXPECT_EQ(peaks.bf16, peaks.f32);
  }
  EXPECT_FALSE(cpu::isa_name().empty());
}

}  // namespace
}  // namespace autarky
