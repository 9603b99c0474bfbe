#include "comm/mpi/operation.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "comm/messages.h"

namespace autarky::mpi {
namespace {

std::string_view kind_name(Kind kind) {
  constexpr std::string_view kNames[] = {"all_reduce", "reduce_scatter", "all_gather", "all_to_all",
                                         "a message"};
  const auto i = std::size_t(kind);
  return i < std::size(kNames) ? kNames[i] : "something unknown";
}

}  // namespace

Operation::Operation(std::string description, const Header& header, const Tags& tags,
                     std::vector<Partner> partners, bool streams)
    : description_(std::move(description)),
      header_(header),
      tags_(tags),
      partners_(std::move(partners)),
      openings_(partners_.size()),
      in_opening_(!streams && std::all_of(partners_.begin(), partners_.end(), [](const Partner& p) {
        return std::max(p.source.size(), p.target.size()) <= kFewBytes;
      })) {}

void Operation::start(Wire& wire) {
  for (std::size_t i = 0; i < partners_.size(); ++i) {
    const Partner& p = partners_[i];
    Opening& o = openings_[i];
    o.sent = !p.sends;
    o.arrived = !p.receives;
    if (p.receives) {
      o.from.resize(sizeof(Header) + kFewBytes);  // whatever it opens with
      wire.receive(p.rank, tags_.opening, o.from,
                   [this, i](std::size_t bytes) { take_opening(i, bytes); });
    }
    if (p.sends) {
      const auto data = in_opening_ ? p.source : std::span<const std::byte>();
      o.to.resize(sizeof(Header) + data.size());
      std::memcpy(o.to.data(), &header_, sizeof(Header));
      std::copy(data.begin(), data.end(), o.to.begin() + sizeof(Header));
      wire.send(p.rank, tags_.opening, o.to, [&o](std::size_t) { o.sent = true; });
    }
  }
}

void Operation::take_opening(std::size_t partner, std::size_t bytes) {
  const Partner& p = partners_[partner];
  Opening& o = openings_[partner];
  Header h;
  AUTARKY_CHECK(bytes >= sizeof h, "an opening without a header");
  std::memcpy(&h, o.from.data(), sizeof h);
  if (h.group != header_.group || h.sequence != header_.sequence || h.kind != header_.kind ||
      h.dtype != header_.dtype || h.how != header_.how)
    throw Error(fmt::format("{}: rank {} takes part with {} number {} of {} bytes of {}",
                            description_, p.rank, kind_name(h.kind), h.sequence, h.bytes,
                            dtype_name(h.dtype)));
  if (h.bytes != header_.bytes) throw Error(other_bytes(description_, p.rank, h.bytes));
  if (in_opening_) {
    AUTARKY_CHECK(bytes == sizeof h + p.target.size(), "an opening of another length");
    std::copy_n(o.from.begin() + sizeof h, p.target.size(), p.target.begin());
  }
  o.arrived = true;
}

bool Operation::advance(Wire& wire) {
  const bool moved = in_opening_ || move(wire);
  const bool opened = std::all_of(openings_.begin(), openings_.end(),
                                  [](const Opening& o) { return o.sent && o.arrived; });
  if (!moved || !opened) return false;
  finish();
  return true;
}

std::vector<int> Operation::missing() const {
  std::vector<int> ranks;
  for (std::size_t i = 0; i < partners_.size(); ++i)
    if (!openings_[i].arrived || !partners_[i].receives) ranks.push_back(partners_[i].rank);
  return ranks;
}

}  // namespace autarky::mpi
