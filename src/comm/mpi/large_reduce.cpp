#include <algorithm>
#include <cstring>
#include <utility>

#include "comm/mpi/operations.h"

namespace autarky::mpi {
namespace {

constexpr std::size_t kSegment = Stream::kSegment;

// Segments of every partner that wait to be summed: a few, fewer where partners are many.
std::size_t staged_rows(std::size_t segments, std::size_t partners) {
  return std::min(segments, std::clamp<std::size_t>(Staging::kSegments / partners, 2, 4));
}

class LargeReduce : public Operation {
 public:
  LargeReduce(std::string description, const Header& header, const Tags& tags,
              std::vector<Partner> partners, const Reduced& r, Staging& staging)
      : Operation(std::move(description), header, tags, std::move(partners), true),
        staging_(staging),
        reduced_(r),
        mine_in_(piece_of(r.in, r.dtype, r.position, members())),
        mine_(place_of_sum(r, members())) {}

 protected:
  bool move(Wire& wire) override {
    if (lanes_.empty()) make_lanes();
    if (summed_ < segments() && staged_.empty() && all_opened()) staged_ = staging_.take(places());
    if (summed_ < segments() && arrived()) sum_segment();
    bool complete = summed_ == segments();
    if (complete) staging_.give(std::exchange(staged_, {}));
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      Lane& lane = lanes_[i];
      permit(lane, opened(i));
      for (Stream* s : {&lane.input_out, &lane.input_in, &lane.sum_out, &lane.sum_in}) {
        s->pump(wire);
        complete &= s->complete();
      }
    }
    return complete;
  }
  void finish() override {
    if (mine_.data() != reduced_.out.data() && reduced_.scattered())
      std::memcpy(reduced_.out.data(), mine_.data(), mine_.size());
  }

 private:
  // A piece that begins where the source does would overwrite what has yet to be sent: its sum is
  // made in place of this rank's own input.
  static std::span<std::byte> place_of_sum(const Reduced& r, std::size_t members) {
    if (!r.scattered()) return piece_of(r.out, r.dtype, r.position, members);
    return {r.out.data() + (r.in_place() ? r.position * r.out.size() : 0), r.out.size()};
  }

  // What goes between this rank and a partner.
  struct Lane {
    Lane(LargeReduce& r, std::size_t index, const Partner& p)
        : input_out(Stream::Way::send, p.rank, r.tags().data, p.source.size(),
                    [from = const_cast<std::byte*>(p.source.data())](std::size_t k) {
                      return from + k * kSegment;
                    }),
          input_in(Stream::Way::receive, p.rank, r.tags().data, r.mine_.size(),
                   [&r, index](std::size_t k) { return r.staged(index, k); }),
          sum_out(Stream::Way::send, p.rank, r.tags().results,
                  r.reduced_.scattered() ? 0 : r.mine_.size(),
                  [&r](std::size_t k) { return r.mine_.data() + k * kSegment; }),
          sum_in(Stream::Way::receive, p.rank, r.tags().results, p.target.size(),
                 [to = p.target.data()](std::size_t k) { return to + k * kSegment; }) {}
    Stream input_out, input_in, sum_out, sum_in;
  };

  void make_lanes() {
    for (std::size_t i = 0; i < partners().size(); ++i)
      lanes_.emplace_back(*this, i, partners()[i]);
  }

  // An operation takes staging when all members have begun: its sums then wait for nothing else,
  // so that it gives it back whatever other operations wait for.
  bool all_opened() const {
    std::size_t i = 0;
    return std::all_of(lanes_.begin(), lanes_.end(), [&](const Lane&) { return opened(i++); });
  }
  std::size_t rows() const { return staged_rows(segments(), partners().size()); }
  std::size_t places() const { return rows() * partners().size(); }

  // Where result and source are the same memory, a sum may overwrite only what has been sent.
  void permit(Lane& lane, bool opened) {
    lane.input_out.permit_all();
    if (!staged_.empty()) lane.input_in.permit(summed_ + rows());
    lane.sum_out.permit(summed_);
    if (opened)
      lane.sum_in.permit(reduced_.in_place() ? lane.input_out.done() : lane.sum_in.segments());
  }

  std::size_t segments() const { return (mine_.size() + kSegment - 1) / kSegment; }
  std::byte* staged(std::size_t partner, std::size_t k) {
    return staged_[k % rows() * partners().size() + partner];
  }
  bool arrived() const {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [&](const Lane& lane) { return lane.input_in.done() > summed_; });
  }

  void sum_segment() {
    const std::size_t start = summed_ * kSegment, bytes = std::min(kSegment, mine_.size() - start);
    std::vector<const std::byte*> inputs;
    for (std::size_t i = 0; i < partners().size(); ++i) inputs.push_back(staged(i, summed_));
    inputs.insert(inputs.begin() + std::ptrdiff_t(reduced_.position), mine_in_.data() + start);
    reduce_tree(reduced_.dtype, reduced_.how, inputs, mine_.subspan(start, bytes));
    ++summed_;
  }

  Staging& staging_;
  std::vector<std::byte*> staged_;  // while there is something to be summed
  Reduced reduced_;
  std::span<const std::byte> mine_in_;  // the piece that this rank sums: its own input,
  std::span<std::byte> mine_;           // and the sum
  std::deque<Lane> lanes_;              // by partner
  std::size_t summed_ = 0;              // segments
};

}  // namespace

std::unique_ptr<Operation> make_large_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& r, Staging& staging) {
  const auto wanted = r.scattered() ? std::span<std::byte>() : r.out;
  std::vector<Partner> partners;
  for (std::size_t i = 0; i < group.size(); ++i)
    if (i != r.position)
      partners.push_back({group[i], piece_of(r.in, r.dtype, i, group.size()),
                          piece_of(wanted, r.dtype, i, group.size())});
  return std::make_unique<LargeReduce>(std::move(description), header, tags, std::move(partners), r,
                                       staging);
}

}  // namespace autarky::mpi
