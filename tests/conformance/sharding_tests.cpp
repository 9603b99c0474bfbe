#include <fmt/core.h>

#include <algorithm>

#include "conformance/launch.h"
#include "conformance/shards.h"
#include "conformance/suite.h"

namespace autarky {
namespace {

constexpr double kTolerance = 1e-12;

void expect_whole(const Instance& x, const std::vector<Values>& found, const std::string& how) {
  const auto whole = definition(x);
  for (std::size_t o = 0; o < whole.size(); ++o)
    expect_close(found[o], whole[o], x.out[o], kTolerance,
                 fmt::format("{}, {}, output {}", x.label, how, o));
}

// Padding, zero in what goes in, is zero in what comes out.
void check_letters(const Subject& s, const Case& c) {
  for (const auto& x : all_instances(s, c, Size::small, DType::f64))
    for (const ShardCut& cut : cuts(x)) {
      std::vector<std::vector<Values>> parts;
      for (const auto& part : shards(x, cut)) parts.push_back(definition(part));
      const std::string how = fmt::format("split over {} by {}", cut.letter, cut.room);
      expect_whole(x, joined(x, cut, parts), how);
      for (std::size_t o = 0; o < x.out.size(); ++o)
        if (std::find(c.auxiliary.begin(), c.auxiliary.end(), int(o)) == c.auxiliary.end()) {
          EXPECT_EQ(largest_padding(x, cut, o, parts[1][o]), 0) << x.label << ", " << how;
        }
    }
}

void check_linear(const Subject& s, const Case& c) {
  for (const auto& x : all_instances(s, c, Size::small, DType::f64))
    for (const auto& group : x.op->linear(x.attrs, x.in.size())) {
      const auto parts = partial_parts(x, group);
      auto sum = definition(parts[0]);
      const auto second = definition(parts[1]);
      for (std::size_t o = 0; o < sum.size(); ++o)
        for (std::size_t i = 0; i < sum[o].size(); ++i) sum[o][i] += second[o][i];
      expect_whole(x, sum, fmt::format("input {} partial", group.front()));
    }
}

}  // namespace

void register_sharding_tests() {
  for (const auto& s : subjects())
    for (std::size_t c = 0; c < s.cases.size(); ++c)
      register_test(std::string(s.op->name), fmt::format("case{}_sharded_is_the_whole", c), [s, c] {
        check_letters(s, s.cases[c]);
        check_linear(s, s.cases[c]);
      });
}

}  // namespace autarky
