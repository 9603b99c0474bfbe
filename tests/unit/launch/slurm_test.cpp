#include "launch/slurm.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

TEST(SlurmScript, AsksForTheRanksAndQuotesTheCommand) {
  const SlurmJob job{"autarky-train",
                     16,
                     4,
                     "--time=2:00:00",
                     {"/opt/it's/autarky", "launch", "", "--a=b c", "$HOME"}};
  EXPECT_EQ(slurm_script(job),
            "#!/bin/sh\n"
            "# Written by autarky launch --slurm. Once more: sbatch and the name of this file.\n"
            "#SBATCH --job-name=autarky-train\n"
            "#SBATCH --ntasks=16\n"
            "#SBATCH --cpus-per-task=4\n"
            "#SBATCH --signal=B:TERM@120\n"
            "#SBATCH --open-mode=append\n"
            "#SBATCH --time=2:00:00\n"
            "exec '/opt/it'\\''s/autarky' launch '' '--a=b c' '$HOME'\n");
}

}  // namespace
}  // namespace autarky
