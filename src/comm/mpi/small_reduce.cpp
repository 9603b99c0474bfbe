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
        reduced_(r) {}

 protected:
  void finish() override {
    std::vector<const std::byte*> inputs;
    for (const auto& p : partners()) inputs.push_back(p.target.data());
    inputs.insert(inputs.begin() + std::ptrdiff_t(reduced_.position), reduced_.in.data());
    reduce_tree(reduced_.dtype, reduced_.how, inputs, reduced_.out);
  }

 private:
  std::vector<std::byte> gathered_;
  Reduced reduced_;
};

}  // namespace

std::unique_ptr<Operation> make_small_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& r) {
  std::vector<std::byte> gathered((group.size() - 1) * r.in.size());
  std::vector<Partner> partners;
  for (std::size_t i = 0; i < group.size(); ++i)
    if (i != r.position)
      partners.push_back({group[i], r.in,
                          std::span(gathered).subspan(partners.size() * r.in.size(), r.in.size())});
  return std::make_unique<SmallReduce>(std::move(description), header, tags, std::move(partners),
                                       std::move(gathered), r);
}

}  // namespace autarky::mpi
