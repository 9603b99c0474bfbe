// Values have the names and layouts that they would have without buckets.
#include "values/names.h"

#include <gtest/gtest.h>

#include <map>

#include "unit/passes/tiny_programs.h"

namespace autarky {
namespace {

std::multimap<std::string, std::string> named(const StepOptions& options, Pass last) {
  StepOptions o = options;
  o.last_pass = last;
  const Program p = small_program(o);
  std::multimap<std::string, std::string> all;
  for (const NamedValue& v : name_values(p, p.mesh.coordinates(0)))
    all.emplace(to_string(v.name), to_string(v.type));
  return all;
}

TEST(Names, AreTheSameWhereMessagesAreJoined) {
  for (int stage = 0; stage <= 3; ++stage) {
    StepOptions o = small_options(2, 2, 1);
    o.zero_stage = stage;
    o.update = true;
    const auto apart = named(o, Pass::schedule);
    EXPECT_EQ(named(o, Pass::bucket), apart) << stage;
    EXPECT_GT(apart.size(), 100u);
  }
}

}  // namespace
}  // namespace autarky
