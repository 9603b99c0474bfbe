// A hash map from a pair of token ids to a value: open addressing, no erasing.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace autarky {

// A pair of adjacent token ids as one number; orders as (left, right).
using PairKey = std::uint64_t;
constexpr PairKey pair_key(std::int32_t left, std::int32_t right) {
  return (PairKey(std::uint32_t(left)) << 32) | std::uint32_t(right);
}
constexpr std::int32_t left_of(PairKey key) { return std::int32_t(key >> 32); }
constexpr std::int32_t right_of(PairKey key) { return std::int32_t(key & 0xFFFFFFFFu); }

template <typename Value>
class PairMap {
 public:
  explicit PairMap(std::size_t expected = 0) {
    slots_.resize(std::bit_ceil(expected * 2 + 16), {kEmpty, {}});
  }

  const Value* find(PairKey key) const {
    const Slot& slot = slots_[index_of(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  // The value of `key`, made if it was not there. Valid until the next call.
  Value& at(PairKey key) {
    std::size_t i = index_of(key);
    if (slots_[i].key == key) return slots_[i].value;
    if (++size_ * 2 > slots_.size()) {
      grow();
      i = index_of(key);
    }
    slots_[i].key = key;
    return slots_[i].value;
  }

  std::size_t size() const { return size_; }

 private:
  static constexpr PairKey kEmpty = ~PairKey(0);  // ids are not negative
  struct Slot {
    PairKey key;
    Value value;
  };

  std::size_t index_of(PairKey key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = std::size_t((key ^ (key >> 29)) * 0x9E3779B97F4A7C15ull >> 20) & mask;
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & mask;
    return i;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2, Slot{kEmpty, {}});
    old.swap(slots_);
    for (Slot& slot : old)
      if (slot.key != kEmpty) slots_[index_of(slot.key)] = std::move(slot);
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace autarky
