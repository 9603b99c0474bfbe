// An operation as a state machine, driven by the thread that owns MPI. Every member opens it with
// a message to every other: what it takes part in, and its data where they are few.
#pragma once
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/mpi/wire.h"

namespace autarky::mpi {

enum class Kind : std::uint32_t { all_reduce, reduce_scatter, all_gather, all_to_all, message };

// What all members must agree in.
struct Header {
  Kind kind = Kind::message;
  DType dtype = DType::u8;
  Reduction how = Reduction::sum;
  std::uint64_t group = 0, sequence = 0, bytes = 0;
};

// Tags of an operation's messages: openings, data, results.
struct Tags {
  int opening = 0, data = 0, results = 0;
};

// Up to this many bytes for a member go with the opening.
constexpr std::size_t kFewBytes = std::size_t(16) << 10;

// Another member, and what goes to it and comes from it.
struct Partner {
  int rank = 0;
  std::span<const std::byte> source;
  std::span<std::byte> target;
  bool sends = true, receives = true;  // seen from here
};

class Operation {
 public:
  // `streams`: data never go with the opening, however few.
  Operation(std::string description, const Header& header, const Tags& tags,
            std::vector<Partner> partners, bool streams = false);
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // By the owner's thread.
  void start(Wire& wire);
  bool advance(Wire& wire);  // goes on as far as it can; true: all is done
  std::vector<int> missing() const;

  std::size_t members() const { return partners_.size() + 1; }
  const std::string& description() const { return description_; }

  // Under the owner's lock.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  bool finished = false;

 protected:
  // The data that do not fit the openings; true: all of them are where they belong.
  virtual bool move(Wire&) { return true; }
  virtual void finish() {}

  bool in_opening() const { return in_opening_; }
  bool opened(std::size_t partner) const { return openings_[partner].arrived; }
  std::span<const Partner> partners() const { return partners_; }
  const Tags& tags() const { return tags_; }

 private:
  struct Opening {
    std::vector<std::byte> to, from;
    bool sent = false, arrived = false;
  };
  void take_opening(std::size_t partner, std::size_t bytes);

  std::string description_;
  Header header_;
  Tags tags_;
  std::vector<Partner> partners_;
  std::vector<Opening> openings_;
  bool in_opening_;
};

}  // namespace autarky::mpi
