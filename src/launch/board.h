// What a launcher and the ranks on its machine tell each other, in a folder in memory: a page with
// a record of each rank, and what is asked of all. Ranks may keep files beside it. It is there as
// long as the launcher, over all starts of the run; what a killed launcher left goes with the next.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

namespace autarky {

inline constexpr const char* kBoardVariable = "AUTARKY_BOARD";  // the folder

// Of a rank of one start, as the launcher sees it.
struct Sign {
  std::int64_t step = -1;  // the last one that it finished; -1: none
  bool seen = false;       // it has told anything at all
  double silent_s = 0;     // without a sign, since that step and up to the last one of any rank
};

struct BoardPage;

class Board {
 public:
  Board();  // Error if there is no place for it
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  const fs::path& folder() const { return folder_; }
  void clear(int ranks);  // before each start
  std::vector<Sign> signs() const;
  bool ranks_are_gone() const;  // those that were seen, and some were, do not run any more
  void ask_for_a_save();

 private:
  fs::path folder_;
  int lock_ = -1;
  int ranks_ = 0;
  std::shared_ptr<BoardPage> page_;
};

// A rank's end, of no effect where the launcher is on another machine, or there is none. A sign of
// life goes out ten times a second: a process that stands still gives none.
class Heartbeat {
 public:
  explicit Heartbeat(int rank);

  const fs::path& folder() const { return folder_; }  // empty: no launcher here
  void finished(std::int64_t step);
  bool save_asked();  // once for each time; several at once count as one

 private:
  fs::path folder_;
  std::shared_ptr<BoardPage> page_;
  int rank_;
  std::int64_t saves_ = 0;  // done
  std::jthread pulse_;
};

// "ranks 0-2: step 41, rank 3: step 40; rank 3 gave no sign for 3.4 s"; "" where no rank
// was seen.
std::string describe(const std::vector<Sign>& signs);

}  // namespace autarky
