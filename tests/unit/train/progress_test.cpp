#include "train/progress.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

Progress half() {
  return {.step = 120,
          .steps = 1240,
          .loss = 3.21434,
          .val_loss = {},
          .lr = 1.83e-3,
          .tokens_per_s = 8132,
          .mfu = 0.4123,
          .seconds_left = 72};
}

TEST(Progress, APlainLineSaysEverything) {
  EXPECT_EQ(progress_line(half()),
            "step  120/1240 | loss 3.2143 | lr 1.83e-03 | 8.13 k tokens/s | MFU 41.2% | "
            "1 min 12 s left");
}

TEST(Progress, TheValidationLossStandsBesideTheLoss) {
  Progress p = half();
  p.val_loss = 3.5;
  EXPECT_NE(progress_line(p).find("loss 3.2143 | validation 3.5000 | lr"), std::string::npos);
}

TEST(Progress, AnUnknownOrNoTimeLeftIsNotShown) {
  Progress p = half();
  p.seconds_left = -1;
  EXPECT_EQ(progress_line(p).find("left"), std::string::npos);
  p = half();
  p.step = p.steps;
  EXPECT_EQ(progress_line(p).find("left"), std::string::npos);
}

TEST(Progress, ATerminalGetsABarWhereThereIsRoom) {
  Progress p = half();
  p.step = 620;
  EXPECT_EQ(progress_line(p, 200).substr(0, 42), "step  620/1240 [############............] ");
  EXPECT_LE(progress_line(p, 100).size(), 100u);
}

TEST(Progress, ALineIsNeverWiderThanTheTerminal) {
  for (int columns = 0; columns < 160; ++columns)
    EXPECT_LE(progress_line(half(), columns).size(), std::size_t(columns));
}

TEST(Progress, NoStepsAtAllIsNoDivisionByZero) {
  EXPECT_EQ(progress_line(Progress{}, 120).substr(0, 17), "step 0/0 [.......");
}

}  // namespace
}  // namespace autarky
