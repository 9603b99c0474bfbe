#include "launch/board.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/signals.h"

namespace autarky {

struct BoardPage {
  struct Record {
    std::atomic<std::int64_t> step;
    std::atomic<pid_t> process;
    std::atomic<std::int64_t> signed_at;  // 0: no sign yet
    std::atomic<std::int64_t> silence;    // the longest since the step: mpirun wakes what it ends
  };
  std::atomic<std::int64_t> saves_asked;  // the records follow

  Record& of(int rank) { return reinterpret_cast<Record*>(this + 1)[rank]; }
  static std::size_t bytes(int ranks) {
    return sizeof(BoardPage) + std::size_t(ranks) * sizeof(Record);
  }
};

namespace {

constexpr std::string_view kPrefix = "autarky-launch-";
constexpr const char* kPage = "page";
constexpr auto kPulse = std::chrono::milliseconds(100);
constexpr double kSilence = 0.5;  // seconds that are worth a word

// Of all processes of a machine alike, in nanoseconds.
std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

fs::path place() {
  const fs::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK | X_OK) == 0 ? memory : fs::temp_directory_path();
}

// A folder's lock is held as long as its launcher lives. Others' cannot be opened.
void remove_leftovers() {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(place(), ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const int lock = ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) continue;
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) fs::remove_all(entry.path(), ignored);
    ::close(lock);
  }
}

std::shared_ptr<BoardPage> map_page(int fd, std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return nullptr;
  return {static_cast<BoardPage*>(at), [bytes](BoardPage* p) { ::munmap(p, bytes); }};
}

Error no_board(const fs::path& path) {
  return Error(fmt::format("cannot write '{}': {}", path.string(), std::strerror(errno)));
}

}  // namespace

Board::Board() {
  remove_leftovers();
  do {  // another launcher may take it for a leftover before it is locked
    if (lock_ >= 0) ::close(lock_);
    std::string name = (place() / (std::string(kPrefix) + "XXXXXX")).string();
    if (!::mkdtemp(name.data())) throw no_board(name);
    folder_ = name;
    lock_ = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (lock_ < 0 || ::flock(lock_, LOCK_EX) != 0 || !fs::exists(folder_));
}

Board::~Board() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

void Board::clear(int ranks) {
  const auto path = folder_ / kPage;
  std::error_code ignored;
  fs::remove(path, ignored);  // a rank of the last start that is slow to die keeps its own
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const auto bytes = BoardPage::bytes(ranks);
  const bool sized = fd >= 0 && ::posix_fallocate(fd, 0, off_t(bytes)) == 0;
  page_ = sized ? map_page(fd, bytes) : nullptr;
  if (fd >= 0) ::close(fd);
  if (!page_) throw no_board(path);
  ranks_ = ranks;
  for (int r = 0; r < ranks; ++r) page_->of(r).step = -1;
}

std::vector<Sign> Board::signs() const {
  std::vector<Sign> signs;
  std::vector<std::int64_t> times;
  for (int r = 0; r < ranks_; ++r) {
    times.push_back(page_->of(r).signed_at);
    signs.push_back({page_->of(r).step, times.back() > 0, 0});
  }
  const auto newest = *std::max_element(times.begin(), times.end());
  for (std::size_t r = 0; r < signs.size(); ++r)
    if (signs[r].seen) {
      const std::int64_t silence = page_->of(int(r)).silence;
      signs[r].silent_s = double(std::max(newest - times[r], silence)) / 1e9;
    }
  return signs;
}

bool Board::ranks_are_gone() const {
  bool any = false;
  for (int r = 0; r < ranks_; ++r) {
    const pid_t process = page_->of(r).process;
    if (process == 0) continue;
    any = true;
    if (::kill(process, 0) == 0 || errno != ESRCH) return false;
  }
  return any;
}

void Board::ask_for_a_save() { ++page_->saves_asked; }

Heartbeat::Heartbeat(int rank) : rank_(rank) {
  const char* folder = std::getenv(kBoardVariable);
  if (!folder) return;
  const int fd = ::open((fs::path(folder) / kPage).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  struct stat info {};
  if (::fstat(fd, &info) == 0 && std::size_t(info.st_size) >= BoardPage::bytes(rank + 1))
    page_ = map_page(fd, std::size_t(info.st_size));
  ::close(fd);
  if (!page_) return;
  folder_ = folder;
  page_->of(rank).process = ::getpid();
  const NoSignals scope;
  pulse_ = std::jthread([page = page_, rank](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    auto& record = page->of(rank);
    for (auto last = now(); !stop.stop_requested(); last = record.signed_at) {
      record.signed_at = now();
      record.silence = std::max(record.silence.load(), record.signed_at - last);
      ended.wait_for(lock, stop, kPulse, [] { return false; });
    }
  });
}

void Heartbeat::finished(std::int64_t step) {
  if (!page_) return;
  page_->of(rank_).step = step;
  page_->of(rank_).silence = 0;
}

bool Heartbeat::save_asked() {
  const auto before = saves_;
  if (page_) saves_ = page_->saves_asked;
  return saves_ != before;
}

namespace {

// "ranks 0-2, 5"
std::string name_ranks(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    text += fmt::format("{}{}", i > 0 ? ", " : "", ranks[i]);
    if (last > i) text += fmt::format("{}{}", last > i + 1 ? "-" : ", ", ranks[last]);
    i = last;
  }
  return text;
}

}  // namespace

std::string describe(const std::vector<Sign>& signs) {
  std::vector<std::pair<std::int64_t, std::vector<int>>> by_step;
  std::vector<int> unseen;
  std::string silent;
  for (int r = 0; r < int(signs.size()); ++r) {
    const Sign& s = signs[std::size_t(r)];
    if (!s.seen) {
      unseen.push_back(r);
      continue;
    }
    const auto same = std::find_if(by_step.begin(), by_step.end(),
                                   [&](const auto& group) { return group.first == s.step; });
    if (same == by_step.end()) by_step.push_back({s.step, {r}});
    else same->second.push_back(r);
    if (s.silent_s >= kSilence)
      silent += fmt::format("; rank {} gave no sign for {:.1f} s", r, s.silent_s);
  }
  if (by_step.empty()) return "";
  std::string text;
  for (const auto& [step, ranks] : by_step)
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name_ranks(ranks),
                        step < 0 ? "none" : fmt::format("step {}", step));
  if (!unseen.empty()) text += fmt::format(", {}: not seen", name_ranks(unseen));
  return text + silent;
}

}  // namespace autarky
