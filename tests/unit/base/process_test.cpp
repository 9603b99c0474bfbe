#include "base/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace autarky {
namespace {

TEST(Process, LimitsAreNoMoreThanTheMachineHas) {
  EXPECT_GT(memory_limit_bytes(), 0);
  EXPECT_LE(memory_limit_bytes(), std::int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE));
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), int(sysconf(_SC_NPROCESSORS_CONF)));
}

TEST(Process, FreeMemoryIsWithinTheLimitAndWaitsForProcessorsOnlyGrow) {
  EXPECT_GT(free_memory_bytes(), 0);
  EXPECT_LE(free_memory_bytes(), memory_limit_bytes());
  const double before = processor_wait_s();
  EXPECT_GE(before, 0);
  EXPECT_GE(processor_wait_s(), before);
}

TEST(Process, ProgramsAreFoundAsTheShellFindsThem) {
  EXPECT_TRUE(find_program("sh").ends_with("/sh"));
  EXPECT_EQ(find_program("no-such-program-anywhere"), "");
}

}  // namespace
}  // namespace autarky
