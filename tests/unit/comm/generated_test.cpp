// Every check on ranks as threads; tests/mpi runs the same ones on processes.
#include <gtest/gtest.h>

#include "comm/local/local_comm.h"
#include "unit/comm/comm_checks.h"

namespace autarky {

static void PrintTo(const CommCheck& check, std::ostream* out) { *out << check.name; }

namespace {

class Local : public testing::TestWithParam<std::tuple<CommCheck, int>> {};

TEST_P(Local, Holds) {
  const auto& [check, ranks] = GetParam();
  run_local_ranks(ranks, check.run);
}

INSTANTIATE_TEST_SUITE_P(Checks, Local,
                         testing::Combine(testing::ValuesIn(comm_checks().begin(),
                                                            comm_checks().end()),
                                          testing::Values(1, 2, 3, 4, 8)),
                         [](const auto& p) {
                           return std::string(std::get<0>(p.param).name) + "On" +
                                  std::to_string(std::get<1>(p.param));
                         });

}  // namespace
}  // namespace autarky
