#include <algorithm>

#include "comm/mpi/operations.h"

namespace autarky::mpi {
namespace {

class SmallReduce : public Exchange {
 public:
  // `gathered`: a place for every partner's input, which the targets of `partners` lie in.
  SmallReduce(std::string description, const Header& header, const Tags& tags,
              std::vector<Partner> partners, std::vector<std::byte> gathered, const Reduced& r)
      : Exchange(std::move(description), header, tags, std::move(partners)),
        gathered_(std::move(gathered)),
        reduced_(r),
        mine_(wanted_by(r, r.position, members())) {}

  // What member i of n gets of this rank's input.
  static std::span<const std::byte> wanted_by(const Reduced& r, std::size_t i, std::size_t n) {
    return r.scattered() ? piece_of(r.in, r.dtype, i, n) : r.in;
  }

 protected:
  void finish() override {
    std::vector<const std::byte*> inputs;
    for (const auto& p : partners()) inputs.push_back(p.target.data());
    inputs.insert(inputs.begin() + std::ptrdiff_t(reduced_.position), mine_.data());
    reduce_tree(reduced_.dtype, reduced_.how, inputs, reduced_.out);
  }

 private:
  std::vector<std::byte> gathered_;
  Reduced reduced_;
  std::span<const std::byte> mine_;
};

}  // namespace

std::unique_ptr<Operation> make_small_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& r) {
  const std::size_t bytes = r.out.size();
  std::vector<std::byte> gathered((group.size() - 1) * bytes);
  std::vector<Partner> partners;
  for (std::size_t i = 0; i < group.size(); ++i)
    if (i != r.position)
      partners.push_back({group[i], SmallReduce::wanted_by(r, i, group.size()),
                          std::span(gathered).subspan(partners.size() * bytes, bytes)});
  return std::make_unique<SmallReduce>(std::move(description), header, tags, std::move(partners),
                                       std::move(gathered), r);
}

}  // namespace autarky::mpi
