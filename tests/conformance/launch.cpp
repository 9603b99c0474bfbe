#include "conformance/launch.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "backend/reference/reference.h"
#include "ops/exact_sum.h"

namespace autarky {
namespace {

constexpr std::size_t kGuard = 128;  // bytes on either side; keeps the kernels' alignment of 64
constexpr std::byte kMark{0xA5}, kPoison{0xFF};

class GuardedMemory {
 public:
  explicit GuardedMemory(std::int64_t bytes)
      : bytes_(std::size_t(bytes)), memory_(bytes_ + 2 * kGuard + 64, kMark) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    start_ = kGuard + (64 - address % 64) % 64;
    std::memset(data(), int(kPoison), bytes_);
  }
  std::byte* data() { return memory_.data() + start_; }
  std::span<std::byte> bytes() { return {data(), bytes_}; }
  bool intact() const {
    const auto marked = [](std::byte b) { return b == kMark; };
    const auto at = memory_.begin() + std::ptrdiff_t(start_);
    return std::all_of(memory_.begin(), at, marked) &&
           std::all_of(at + std::ptrdiff_t(bytes_), memory_.end(), marked);
  }

 private:
  std::size_t bytes_, start_ = 0;
  std::vector<std::byte> memory_;
};

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

class Launch {
 public:
  Launch(const Backend& backend, const Instance& x)
      : x_(x), choice_(backend.kernels().choose(*x.op, x.attrs, x.in, x.out)) {
    aliases_ = x.op->aliases(x.attrs, x.in.size());
    aliases_.resize(x.out.size(), -1);
    memory_.reserve(x.in.size() + x.out.size());
    for (std::size_t i = 0; i < x.in.size(); ++i) {
      memory_.emplace_back(x.in[i].bytes());
      in_.push_back({memory_.back().data(), &x.in[i]});
      from_doubles(x.values[i], in_.back());
      before_.push_back(copy_of(memory_.back().bytes()));
    }
    for (std::size_t o = 0; o < x.out.size(); ++o) {
      if (aliases_[o] < 0) memory_.emplace_back(x.out[o].bytes());
      out_.push_back({aliases_[o] < 0 ? memory_.back().data() : in_[std::size_t(aliases_[o])].data,
                      &x.out[o]});
    }
  }

  Launched run() {
    Launched result;
    if (choice_.kernel == nullptr) {
      ADD_FAILURE() << "no kernel for " << x_.label;
      return result;
    }
    result.kernel = choice_.kernel->name;
    GuardedMemory scratch(choice_.kernel->scratch(x_.attrs, x_.in, x_.out));
    choice_.kernel->launch(x_.attrs, KernelArgs{in_, out_, x_.parts, scratch.bytes()});
    EXPECT_TRUE(scratch.intact()) << "wrote outside of its scratch: " << x_.label;
    check_memory();
    for (const auto& t : out_) {
      result.out.push_back(to_doubles(t));
      result.bits.push_back(copy_of({t.data, std::size_t(t.type->bytes())}));
    }
    return result;
  }

 private:
  void check_memory() {
    for (std::size_t i = 0; i < memory_.size(); ++i)
      EXPECT_TRUE(memory_[i].intact()) << "wrote outside of operand " << i << ": " << x_.label;
    for (std::size_t i = 0; i < in_.size(); ++i) {
      const bool taken_over = std::find(aliases_.begin(), aliases_.end(), int(i)) != aliases_.end();
      EXPECT_TRUE(taken_over || copy_of(memory_[i].bytes()) == before_[i])
          << "changed its input " << i << ": " << x_.label;
    }
  }

  const Instance& x_;
  Choice choice_;
  std::vector<int> aliases_;
  std::vector<GuardedMemory> memory_;
  std::vector<std::vector<std::byte>> before_;
  std::vector<Tensor> in_, out_;
};

// Sums are in f32 at least, so a short format costs the rounding of the result and no more.
double of_dtype(DType t) {
  switch (t) {
    case DType::f32:
      return 5e-6;
    case DType::bf16:
      return 1.02 * 0x1p-8;
    case DType::f16:
      return 1.02 * 0x1p-11;
    default:
      return 1e-12;
  }
}

// Fused products round what is between them: attention its probabilities and their gradients,
// where the chip multiplies bf16.
int roundings(const OpInfo& op) { return op.name.starts_with("attention") ? 2 : 1; }

double digits_value(const Values& v) {
  std::array<std::int64_t, Digits::kCount> digits;
  for (std::size_t i = 0; i < digits.size(); ++i) digits[i] = std::int64_t(v[i]);
  return Digits::value(digits);
}

}  // namespace

Launched launch(const Backend& backend, const Instance& x) { return Launch(backend, x).run(); }

double tolerance(const Instance& x, std::size_t output) {
  double worst = of_dtype(x.out[output].dtype);
  for (const auto& t : x.in) worst = std::max(worst, of_dtype(t.dtype));
  return worst > of_dtype(DType::f32) ? roundings(*x.op) * worst : worst;
}

void expect_close(const Values& found, const Values& wanted, const Type& type, double bound,
                  const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  if (type.dtype == DType::i64 && type.dims.size() == 1 && type.dims[0].name == 'z') {
    EXPECT_NEAR(digits_value(found), digits_value(wanted), bound * std::abs(digits_value(wanted)))
        << what;
    return;
  }
  double greatest = 0, error = 0;
  std::size_t at = 0;
  for (double w : wanted)
    if (std::isfinite(w)) greatest = std::max(greatest, std::abs(w));
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == wanted[i] || (std::isnan(found[i]) && std::isnan(wanted[i]))) continue;
    const double e = std::abs(found[i] - wanted[i]);
    if (!(e <= error)) error = std::isnan(e) ? INFINITY : e, at = i;
  }
  EXPECT_LE(error, bound * greatest)
      << what << ": element " << at << " is " << found[at] << ", not " << wanted[at];
}

}  // namespace autarky
