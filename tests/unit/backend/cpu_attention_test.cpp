#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/attention_core.h"
#include "base/parallel.h"
#include "base/rng.h"

namespace autarky {
namespace {

constexpr std::int64_t kGuardCount = 16;

struct Extents {
  std::int64_t b, s, t, g, r, d;
};
enum class Layout { causal, documents, holes };
struct Problem {
  Extents e;
  DType dtype = DType::f32;
  std::int64_t window = 0;
  Layout layout = Layout::causal;
};

// Numbers of one dtype with guards at both ends.
class Numbers {
 public:
  Numbers(std::int64_t count, DType dtype)
      : count_(count), dtype_(dtype), bytes_(std::size_t(count + 2 * kGuardCount) * 4, 0xa5) {}
  void fill(std::uint64_t seed) {
    const Random random{seed};
    for (std::int64_t i = 0; i < count_; ++i) set(i, float(random.normal(std::uint64_t(i))));
  }
  void set(std::int64_t i, float x) {
    if (dtype_ == DType::f32) std::memcpy(at(i), &x, 4);
    else {
      const bf16 y(x);
      std::memcpy(at(i), &y, 2);
    }
  }
  double operator[](std::int64_t i) const {
    float x;
    bf16 y;
    if (dtype_ == DType::f32) return std::memcpy(&x, at(i), 4), x;
    return std::memcpy(&y, at(i), 2), float(y);
  }
  void* data() { return at(0); }
  const void* data() const { return at(0); }
  std::int64_t count() const { return count_; }
  bool guards_whole() const {
    for (std::size_t i = 0; i < std::size_t(kGuardCount * 4); ++i)
      if (bytes_[i] != 0xa5 || bytes_[bytes_.size() - 1 - i] != 0xa5) return false;
    return true;
  }
  bool operator==(const Numbers& other) const { return bytes_ == other.bytes_; }

 private:
  unsigned char* at(std::int64_t i) {
    return bytes_.data() + kGuardCount * 4 + std::size_t(i * byte_size(dtype_));
  }
  const unsigned char* at(std::int64_t i) const { return const_cast<Numbers*>(this)->at(i); }

  std::int64_t count_;
  DType dtype_;
  std::vector<unsigned char> bytes_;
};

struct Tensors {
  explicit Tensors(const Problem& problem)
      : p(problem),
        e(p.e),
        q(rows(), p.dtype),
        k(keys(), p.dtype),
        v(keys(), p.dtype),
        o(rows(), p.dtype),
        d_o(rows(), p.dtype),
        dq(rows(), p.dtype),
        dk(keys(), p.dtype),
        dv(keys(), p.dtype),
        lse(e.b * e.s * e.g * e.r, DType::f32) {
    q.fill(1), k.fill(2), v.fill(3), d_o.fill(4);
    place_tokens();
  }
  std::int64_t rows() const { return e.b * e.s * e.g * e.r * e.d; }
  std::int64_t keys() const { return e.b * e.t * e.g * e.d; }

  void place_tokens() {
    for (std::int64_t b = 0; b < e.b; ++b) {
      for (std::int64_t j = 0; j < e.t; ++j) place(b, j, k_pos, k_seg);
      for (std::int64_t i = 0; i < e.s; ++i) place(b, i + e.t - e.s, q_pos, q_seg);
    }
    if (p.layout == Layout::holes)
      for (std::size_t j = 0; j < k_seg.size(); j += 3) k_seg[j] = -1;
  }
  void place(std::int64_t b, std::int64_t i, std::vector<std::int32_t>& pos,
             std::vector<std::int32_t>& seg) {
    const std::int64_t length = p.layout == Layout::documents ? 37 + 11 * b : 1 << 20;
    pos.push_back(std::int32_t(i < 0 ? 0 : i % length));
    seg.push_back(std::int32_t(i < 0 ? -1 : i / length));
  }
  bool visible(std::int64_t b, std::int64_t i, std::int64_t j) const {
    const std::size_t q_at = std::size_t(b * e.s + i), k_at = std::size_t(b * e.t + j);
    const std::int64_t distance = std::int64_t{q_pos[q_at]} - k_pos[k_at];
    return distance >= 0 && k_seg[k_at] == q_seg[q_at] && k_seg[k_at] >= 0 &&
           (p.window == 0 || distance < p.window);
  }
  cpu::Attention args() const {
    cpu::Attention x;
    x.b = e.b, x.s = e.s, x.t = e.t, x.g = e.g, x.r = e.r, x.d = e.d;
    x.dtype = p.dtype, x.scale = float(1 / std::sqrt(double(e.d))), x.window = p.window;
    x.q = {q.data(), e.s * e.g * e.r * e.d, e.g * e.r * e.d};
    x.k = {k.data(), e.t * e.g * e.d, e.g * e.d}, x.v = {v.data(), e.t * e.g * e.d, e.g * e.d};
    x.q_pos = q_pos.data(), x.k_pos = k_pos.data(), x.q_seg = q_seg.data(), x.k_seg = k_seg.data();
    return x;
  }
  void run() {
    const cpu::Attention x = args();
    const std::int64_t q_batch = x.q.batch_stride, q_row = x.q.row_stride;
    const std::int64_t k_batch = x.k.batch_stride, k_row = x.k.row_stride;
    auto* l = static_cast<float*>(lse.data());
    cpu::attention_forward(x, {o.data(), q_batch, q_row}, l);
    cpu::attention_backward(x, {{o.data(), q_batch, q_row},
                                l,
                                {d_o.data(), q_batch, q_row},
                                {dq.data(), q_batch, q_row},
                                {dk.data(), k_batch, k_row},
                                {dv.data(), k_batch, k_row}});
  }

  Problem p;
  Extents e;
  Numbers q, k, v, o, d_o, dq, dk, dv, lse;
  std::vector<std::int32_t> q_pos, k_pos, q_seg, k_seg;
};

// Plain loops in double precision.
struct Expected {
  explicit Expected(const Tensors& x)
      : t(x), o(size(x.q)), dq(size(x.q)), dk(size(x.k)), dv(size(x.k)), lse(size(x.lse)) {
    for (std::int64_t b = 0; b < t.e.b; ++b)
      for (std::int64_t i = 0; i < t.e.s; ++i)
        for (std::int64_t h = 0; h < t.e.g * t.e.r; ++h) add_query(b, i, h);
  }
  static std::size_t size(const Numbers& n) { return std::size_t(n.count()); }

  void add_query(std::int64_t b, std::int64_t i, std::int64_t h) {
    const auto [eb, es, et, eg, er, ed] = t.e;
    const std::int64_t head = (b * es + i) * eg * er + h, q0 = head * ed;
    const double scale = 1 / std::sqrt(double(ed));
    std::vector<double> p(std::size_t(et), 0.0);
    double sum = 0, delta = 0;
    const auto key_at = [&](std::int64_t j) { return ((b * et + j) * eg + h / er) * ed; };
    const auto dot = [&](const Numbers& x, const Numbers& y, std::int64_t j) {
      double total = 0;
      for (std::int64_t c = 0; c < ed; ++c) total += x[q0 + c] * y[key_at(j) + c];
      return total;
    };
    for (std::int64_t j = 0; j < et; ++j)
      if (t.visible(b, i, j)) sum += p[std::size_t(j)] = std::exp(scale * dot(t.q, t.k, j));
    lse[std::size_t(head)] = sum > 0 ? std::log(sum) : -std::numeric_limits<double>::infinity();
    if (sum == 0) return;
    for (std::int64_t j = 0; j < et; ++j) {
      p[std::size_t(j)] /= sum;
      for (std::int64_t c = 0; c < ed; ++c)
        o[std::size_t(q0 + c)] += p[std::size_t(j)] * t.v[key_at(j) + c];
    }
    for (std::int64_t c = 0; c < ed; ++c) delta += t.d_o[q0 + c] * o[std::size_t(q0 + c)];
    for (std::int64_t j = 0; j < et; ++j) {
      const double weight = p[std::size_t(j)];
      const double ds = scale * weight * (dot(t.d_o, t.v, j) - delta);
      for (std::int64_t c = 0; c < ed; ++c) {
        dq[std::size_t(q0 + c)] += ds * t.k[key_at(j) + c];
        dk[std::size_t(key_at(j) + c)] += ds * t.q[q0 + c];
        dv[std::size_t(key_at(j) + c)] += weight * t.d_o[q0 + c];
      }
    }
  }

  const Tensors& t;
  std::vector<double> o, dq, dk, dv, lse;
};

void expect_near(const Numbers& found, const std::vector<double>& wanted, double tolerance,
                 const char* name) {
  ASSERT_EQ(std::size_t(found.count()), wanted.size());
  EXPECT_TRUE(found.guards_whole()) << name;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double x = found[std::int64_t(i)];
    if (x == wanted[i]) continue;  // infinities
    ASSERT_LE(std::abs(x - wanted[i]), tolerance * (1 + std::abs(wanted[i]))) << name << " " << i;
  }
}

void check(const Problem& p) {
  Tensors x(p);
  x.run();
  const Expected wanted(x);
  // bf16: the stored o and the rounded results; f32 sums.
  const bool halves = p.dtype == DType::bf16;
  expect_near(x.lse, wanted.lse, halves ? 1e-4 : 1e-5, "lse");
  expect_near(x.o, wanted.o, halves ? 1e-2 : 1e-5, "o");
  expect_near(x.dv, wanted.dv, halves ? 2e-2 : 2e-5, "dv");
  expect_near(x.dq, wanted.dq, halves ? 3e-2 : 2e-5, "dq");
  expect_near(x.dk, wanted.dk, halves ? 3e-2 : 2e-5, "dk");
}

TEST(CpuAttention, matches_plain_loops_for_causal_sequences) {
  check({{1, 1, 1, 1, 1, 1}});
  check({{2, 33, 33, 2, 1, 16}});
  check({{1, 300, 300, 1, 1, 64}});
  check({{1, 131, 131, 2, 3, 5}});
}

TEST(CpuAttention, matches_plain_loops_for_packed_documents) {
  check({{2, 200, 200, 1, 2, 32}, DType::f32, 0, Layout::documents});
  check({{2, 259, 259, 2, 1, 8}, DType::bf16, 0, Layout::documents});
}

TEST(CpuAttention, matches_plain_loops_for_windows) {
  check({{1, 310, 310, 1, 1, 16}, DType::f32, 50, Layout::causal});
  check({{1, 150, 150, 1, 4, 16}, DType::bf16, 7, Layout::documents});
}

// What no query of a tile can see is not read: numbers there that are not finite reach nothing.
TEST(CpuAttention, tiles_outside_the_window_are_skipped) {
  constexpr std::int64_t kKeys = 100, kFar = 300;  // the first keys; rows that see none near them
  Tensors x(Problem{{1, 640, 640, 1, 1, 16}, DType::f32, 40, Layout::causal});
  for (std::int64_t i = 0; i < kKeys * 16; ++i) {
    x.k.set(i, std::numeric_limits<float>::quiet_NaN());
    x.v.set(i, std::numeric_limits<float>::quiet_NaN());
  }
  x.run();
  EXPECT_TRUE(std::isnan(x.o[0]));
  for (std::int64_t i = kFar * 16; i < 640 * 16; ++i)
    for (const Numbers* n : {&x.o, &x.dq, &x.dk, &x.dv}) ASSERT_TRUE(std::isfinite((*n)[i])) << i;
}

TEST(CpuAttention, matches_plain_loops_for_caches_with_holes) {
  check({{3, 1, 270, 2, 4, 64}, DType::f32, 0, Layout::holes});
  check({{1, 5, 129, 1, 1, 24}, DType::bf16, 0, Layout::holes});
  check({{2, 64, 100, 1, 2, 20}, DType::f32, 30, Layout::holes});
}

TEST(CpuAttention, a_query_that_sees_nothing_gets_zeros) {
  // The first 20 queries stand before every key.
  const Problem p{{1, 40, 20, 1, 2, 8}, DType::f32, 0, Layout::causal};
  check(p);
  Tensors x(p);
  x.run();
  EXPECT_EQ(x.lse[0], -std::numeric_limits<double>::infinity());
  for (std::int64_t c = 0; c < 16; ++c) {
    EXPECT_EQ(x.o[c], 0);
    EXPECT_EQ(x.dq[c], 0);
  }
}

TEST(CpuAttention, bits_do_not_depend_on_the_thread_count) {
  for (const std::int64_t heads : {1, 20}) {
    const Problem p{{1, 290, 290, heads, 2, 16}, DType::f32, 0, Layout::documents};
    const int threads = thread_count();
    Tensors one(p), two(p);
    set_thread_count(1);
    one.run();
    set_thread_count(2);
    two.run();
    set_thread_count(threads);
    EXPECT_TRUE(one.o == two.o && one.lse == two.lse);
    EXPECT_TRUE(one.dq == two.dq && one.dk == two.dk && one.dv == two.dv);
  }
}

TEST(CpuAttention, scores_of_any_size_neither_overflow_nor_lose_the_largest) {
  Tensors x(Problem{{1, 40, 40, 1, 1, 4}});
  for (std::int64_t i = 0; i < x.q.count(); ++i) x.q.set(i, float(x.q[i]) * 40);
  x.run();
  for (std::int64_t i = 0; i < x.o.count(); ++i) EXPECT_TRUE(std::isfinite(x.o[i])) << i;
  expect_near(x.o, Expected(x).o, 2e-5, "o");
}

}  // namespace
}  // namespace autarky
