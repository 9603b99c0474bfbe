#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "comm/comm.h"

namespace autarky {
namespace {

// Bytes that go through the tree together: they stay in the nearest cache.
constexpr std::size_t kBlock = 4096;

template <Reduction how, class T>
T combine(T a, T b) {
  if constexpr (how == Reduction::sum) return T(a + b);
  if constexpr (how == Reduction::max) return std::max(a, b);
  const double top = std::max(double(a), double(b)), low = std::min(double(a), double(b));
  return std::isinf(top) ? T(top) : T(top + std::log1p(std::exp(low - top)));
}
template <Reduction how>
bf16 combine(bf16 a, bf16 b) {
  return bf16(combine<how>(float(a), float(b)));
}

// Combines one element type in one way.
template <class T, Reduction how>
class Tree {
 public:
  explicit Tree(std::span<const std::byte* const> inputs)
      : inputs_(inputs), levels_(std::bit_width(inputs.size()) * kBlock / sizeof(T)) {}

  void run(std::span<std::byte> out) {
    const std::size_t count = out.size() / sizeof(T);
    for (std::size_t start = 0; start < count; start += kBlock / sizeof(T)) {
      start_ = start;
      count_ = std::min(count - start, kBlock / sizeof(T));
      T* result = reinterpret_cast<T*>(out.data()) + start;
      // Of more than two inputs `out` may be one that is read after the first sum is written.
      T* sum = inputs_.size() > 2 ? levels_.data() : result;
      reduce(0, inputs_.size(), sum, 1);
      if (sum != result) std::memcpy(result, sum, count_ * sizeof(T));
    }
  }

 private:
  const T* input(std::size_t i) const { return reinterpret_cast<const T*>(inputs_[i]) + start_; }

  // into = inputs [from, to); `level`: the first block of levels_ that is free.
  void reduce(std::size_t from, std::size_t to, T* into, std::size_t level) {
    if (to - from == 1) {
      std::memmove(into, input(from), count_ * sizeof(T));
    } else if (to - from == 2) {
      add(input(from), input(from + 1), into);
    } else {
      const std::size_t middle = from + (to - from + 1) / 2;
      T* right = levels_.data() + level * (kBlock / sizeof(T));
      reduce(from, middle, into, level);
      reduce(middle, to, right, level + 1);
      add(into, right, into);
    }
  }

  // Whole vectors first: with a fixed length the compiler uses them.
  void add(const T* a, const T* b, T* into) const {
    constexpr std::size_t kStep = 64;
    std::size_t i = 0;
    for (; i + kStep <= count_; i += kStep) {
      T sum[kStep];
      for (std::size_t k = 0; k < kStep; ++k) sum[k] = combine<how>(a[i + k], b[i + k]);
      std::memcpy(into + i, sum, sizeof sum);
    }
    for (; i < count_; ++i) into[i] = combine<how>(a[i], b[i]);
  }

  std::span<const std::byte* const> inputs_;
  std::vector<T> levels_;
  std::size_t start_ = 0, count_ = 0;  // of the block, in elements
};

template <class T>
void reduce_as(Reduction how, std::span<const std::byte* const> inputs, std::span<std::byte> out) {
  if (how == Reduction::sum) Tree<T, Reduction::sum>(inputs).run(out);
  else if (how == Reduction::max) Tree<T, Reduction::max>(inputs).run(out);
  else Tree<T, Reduction::log_sum_exp>(inputs).run(out);
}

}  // namespace

void reduce_tree(DType dtype, Reduction how, std::span<const std::byte* const> inputs,
                 std::span<std::byte> out) {
  switch (dtype) {
    case DType::f64:
      return reduce_as<double>(how, inputs, out);
    case DType::f32:
      return reduce_as<float>(how, inputs, out);
    case DType::bf16:
      return reduce_as<bf16>(how, inputs, out);
    case DType::i64:
      return reduce_as<std::int64_t>(how, inputs, out);
    case DType::i32:
      return reduce_as<std::int32_t>(how, inputs, out);
    default:
      AUTARKY_CHECK(false, dtype_name(dtype));
  }
}

}  // namespace autarky
