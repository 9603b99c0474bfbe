#include "backend/cpu/pack.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/pack.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR  // which has no 128-bit vectors: one value at a time

// Blocks of 4 lines: 128 bits on every instruction set, so that one transpose serves all.
constexpr hn::FixedTag<std::uint32_t, 4> kWords;
constexpr hn::FixedTag<std::uint64_t, 2> kPairs;
constexpr hn::FixedTag<std::uint16_t, 4> kHalves;
using Words = hn::Vec<decltype(kWords)>;
constexpr int kBlock = 8;  // k values handled at once

HWY_INLINE Words load4(const float* p) {
  return hn::LoadU(kWords, reinterpret_cast<const std::uint32_t*>(p));
}
HWY_INLINE Words load4(const bf16* p) {
  const auto* halves = reinterpret_cast<const std::uint16_t*>(p);
  return hn::ShiftLeft<16>(hn::PromoteTo(kWords, hn::LoadU(kHalves, halves)));
}

HWY_INLINE void transpose(Words& a, Words& b, Words& c, Words& d) {
  const auto ab0 = hn::BitCast(kPairs, hn::InterleaveLower(kWords, a, b));
  const auto ab1 = hn::BitCast(kPairs, hn::InterleaveUpper(kWords, a, b));
  const auto cd0 = hn::BitCast(kPairs, hn::InterleaveLower(kWords, c, d));
  const auto cd1 = hn::BitCast(kPairs, hn::InterleaveUpper(kWords, c, d));
  a = hn::BitCast(kWords, hn::InterleaveLower(kPairs, ab0, cd0));
  b = hn::BitCast(kWords, hn::InterleaveUpper(kPairs, ab0, cd0));
  c = hn::BitCast(kWords, hn::InterleaveLower(kPairs, ab1, cd1));
  d = hn::BitCast(kWords, hn::InterleaveUpper(kPairs, ab1, cd1));
}

// r[i] = f32 bits of 4 lines at k + i, from lines whose k values are neighbours.
HWY_INLINE void load_block(const float* p, std::int64_t line_stride, Words* r) {
#pragma GCC unroll 8
  for (int half = 0; half < 2; ++half) {
    Words* q = r + 4 * half;
#pragma GCC unroll 8
    for (int line = 0; line < 4; ++line) q[line] = load4(p + line * line_stride + 4 * half);
    transpose(q[0], q[1], q[2], q[3]);
  }
}
HWY_INLINE void load_block(const bf16* p, std::int64_t line_stride, Words* r) {
  Words q[4];
#pragma GCC unroll 8
  for (int line = 0; line < 4; ++line)
    q[line] = hn::LoadU(kWords, reinterpret_cast<const std::uint32_t*>(p + line * line_stride));
  transpose(q[0], q[1], q[2], q[3]);
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    r[2 * i] = hn::ShiftLeft<16>(q[i]);
    r[2 * i + 1] = hn::And(q[i], hn::Set(kWords, 0xffff0000u));
  }
}

// The bf16 of f32 bits, in the upper half of each word (lower half undefined).
HWY_INLINE Words round_to_bf16(Words x) {
  const Words odd = hn::And(hn::ShiftRight<16>(x), hn::Set(kWords, 1));
  const Words rounded = hn::Add(x, hn::Add(odd, hn::Set(kWords, 0x7fff)));
  const auto nan = hn::Gt(hn::And(x, hn::Set(kWords, 0x7fffffffu)), hn::Set(kWords, 0x7f800000u));
  return hn::IfThenElse(nan, hn::Or(x, hn::Set(kWords, 0x400000u)), rounded);
}

template <Product kProduct, class T>
HWY_INLINE void store_block(const Words* r, int width, std::uint32_t* out) {
  if constexpr (kProduct == Product::f32) {
#pragma GCC unroll 8
    for (int i = 0; i < kBlock; ++i) hn::StoreU(r[i], kWords, out + i * width);
    return;
  }
  constexpr bool kRound = std::is_same_v<T, float>;
#pragma GCC unroll 8
  for (int i = 0; i < kBlock / 2; ++i) {
    const Words low = kRound ? round_to_bf16(r[2 * i]) : r[2 * i];
    const Words high = kRound ? round_to_bf16(r[2 * i + 1]) : r[2 * i + 1];
    const Words pair = hn::Or(hn::ShiftRight<16>(low), hn::And(high, hn::Set(kWords, 0xffff0000u)));
    hn::StoreU(pair, kWords, out + i * width);
  }
}

template <class D>
HWY_INLINE hn::Vec<D> load_floats(D floats, const float* p) {
  return hn::LoadU(floats, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load_floats(D floats, const bf16* p) {
  const hn::Rebind<std::uint16_t, D> halves;
  const hn::RebindToUnsigned<D> words;
  const auto bits = hn::LoadU(halves, reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(floats, hn::ShiftLeft<16>(hn::PromoteTo(words, bits)));
}

template <Product kProduct, bool kAlongK, class T>
HWY_INLINE void pack_block(const T* from, const Lines& s, int width, std::uint32_t* out) {
  Words r[kBlock];
  if constexpr (kAlongK) {
    load_block(from, s.line_stride, r);
  } else {
#pragma GCC unroll 8
    for (int i = 0; i < kBlock; ++i) r[i] = load4(from + i * s.k_stride);
  }
  store_block<kProduct, T>(r, width, out);
}

// All whole blocks of a panel; returns the k values done. The inner loop follows the memory; the
// last block of lines may overlap the one before.
template <Product kProduct, class T>
std::int64_t pack_blocks(const T* p, const Lines& s, int lines, std::int64_t k, int width,
                         std::uint32_t* out) {
  if (lines < 4) return 0;
  const std::int64_t blocked = k / kBlock * kBlock;
  const auto block_out = [&](std::int64_t k0) { return out + packed_depth(kProduct, k0) * width; };
  if (s.k_stride == 1) {
    for (int line = 0; line < lines; line += 4) {
      const int at = std::min(line, lines - 4);
      for (std::int64_t k0 = 0; k0 < blocked; k0 += kBlock)
        pack_block<kProduct, true>(p + at * s.line_stride + k0, s, width, block_out(k0) + at);
    }
  } else {
    for (std::int64_t k0 = 0; k0 < blocked; k0 += kBlock)
      for (int line = 0; line < lines; line += 4) {
        const int at = std::min(line, lines - 4);
        pack_block<kProduct, false>(p + k0 * s.k_stride + at, s, width, block_out(k0) + at);
      }
  }
  return blocked;
}

// A whole panel whose lines are neighbours in memory, widened and copied: returns the k values
// done.
template <class T>
std::int64_t copy_panel(const T* p, std::int64_t k_stride, std::int64_t k, int width, float* out) {
  const hn::ScalableTag<float> floats;
  const int lanes = int(hn::Lanes(floats));
  if (width % lanes != 0) return 0;
  for (std::int64_t i = 0; i < k; ++i)
    for (int line = 0; line < width; line += lanes)
      hn::StoreU(load_floats(floats, p + i * k_stride + line), floats, out + i * width + line);
  return k;
}
#else
template <class T>
std::int64_t copy_panel(const T*, std::int64_t, std::int64_t, int, float*) {
  return 0;
}
template <Product, class T>
std::int64_t pack_blocks(const T*, const Lines&, int, std::int64_t, int, std::uint32_t*) {
  return 0;
}
#endif

// One value, for the ends that no block covers.
template <Product kProduct>
HWY_INLINE void put(float value, std::int64_t k, int line, int width, std::uint32_t* out) {
  if constexpr (kProduct == Product::f32) {
    out[k * width + line] = std::bit_cast<std::uint32_t>(value);
  } else {
    std::uint32_t& word = out[k / 2 * width + line];
    const std::uint32_t bits = bf16(value).bits;
    word = k % 2 ? (word & 0xffffu) | (bits << 16) : bits;
  }
}

template <Product kProduct, class T>
void pack_ends(const T* p, const Lines& s, int lines, std::int64_t k0, std::int64_t k1, int width,
               std::uint32_t* out) {
  for (std::int64_t k = k0; k < k1; ++k)
    for (int line = 0; line < lines; ++line)
      put<kProduct>(float(p[line * s.line_stride + k * s.k_stride]), k, line, width, out);
}

template <Product kProduct, class T>
void pack_panel(const T* p, const Lines& s, int lines, std::int64_t k, int width,
                std::uint32_t* out) {
  if (lines < width) std::fill_n(out, width * packed_depth(kProduct, k), 0u);
  std::int64_t done = 0;
  if (kProduct == Product::f32 && lines == width && s.line_stride == 1)
    done = copy_panel(p, s.k_stride, k, width, reinterpret_cast<float*>(out));
  if (done == 0) done = pack_blocks<kProduct>(p, s, lines, k, width, out);
  pack_ends<kProduct>(p, s, lines, done, k, width, out);
}

template <Product kProduct, class T>
void pack_all(const Lines& s, std::int64_t lines, std::int64_t k, int width, float* out) {
  auto* words = reinterpret_cast<std::uint32_t*>(out);
  const auto* data = static_cast<const T*>(s.data);
  for (std::int64_t line = 0; line < lines; line += width) {
    const int count = int(std::min<std::int64_t>(width, lines - line));
    pack_panel<kProduct>(data + line * s.line_stride, s, count, k, width,
                         words + line * packed_depth(kProduct, k));
  }
}

void pack_to_f32(const Lines& s, std::int64_t lines, std::int64_t k, int width, float* out) {
  if (s.dtype == DType::f32) pack_all<Product::f32, float>(s, lines, k, width, out);
  else pack_all<Product::f32, bf16>(s, lines, k, width, out);
}

void pack_to_bf16(const Lines& s, std::int64_t lines, std::int64_t k, int width, float* out) {
  if (s.dtype == DType::f32) pack_all<Product::bf16, float>(s, lines, k, width, out);
  else pack_all<Product::bf16, bf16>(s, lines, k, width, out);
}

}  // namespace
}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(pack_to_f32);
HWY_EXPORT(pack_to_bf16);

Lines Lines::from(std::int64_t line, std::int64_t k) const {
  Lines part = *this;
  const std::int64_t offset = (line * line_stride + k * k_stride) * byte_size(dtype);
  part.data = static_cast<const char*>(data) + offset;
  return part;
}

void pack(Product product, const Lines& source, std::int64_t lines, std::int64_t k, int width,
          float* out) {
  if (product == Product::f32) HWY_DYNAMIC_DISPATCH(pack_to_f32)(source, lines, k, width, out);
  else HWY_DYNAMIC_DISPATCH(pack_to_bf16)(source, lines, k, width, out);
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
