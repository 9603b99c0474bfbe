// One rank's step on tape: what lay in its memory before, and what came from the other ranks; so it
// can be run again without them.
#pragma once
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "comm/comm.h"
#include "formats/safetensors.h"
#include "runtime/session.h"

namespace autarky {

// RUN/trace/step-00000012.rank-3.safetensors: static buffers but gradients by their names, and
// "moved.CALL.NODE" what a collective or a receive gave, "moved.CALL.NODE.I" its results after the
// first.
fs::path tape_path(const fs::path& run, std::int64_t step, int rank);
// All that a run kept, with their steps.
std::vector<std::pair<std::int64_t, fs::path>> tapes(const fs::path& run);

// Keeps one run of a session in memory.
class TapeRecorder : public Observer {
 public:
  void begins(const Session& session) override;
  void made(std::size_t call, std::size_t node, std::span<const Tensor> out) override;
  void write(const fs::path& path) const;

 private:
  struct Kept {
    Type type;  // local
    std::vector<std::byte> bytes;
  };
  void keep(const std::string& name, const Tensor& t);

  const Program* program_ = nullptr;
  std::map<std::string, Kept> kept_;
};

// Stands in for the other ranks. InputError where the tape is of another program.
class TapePlayer : public Observer {
 public:
  explicit TapePlayer(const fs::path& path) : tape_(path) {}
  void begins(const Session& session) override;
  void made(std::size_t, std::size_t, std::span<const Tensor>) override {}
  bool moves(std::size_t call, std::size_t node, std::span<const Tensor> out) override;

 private:
  void play(const std::string& name, const Tensor& to) const;

  SafetensorsReader tape_;
  const Program* program_ = nullptr;
};

// A rank without the others: who it is, and no more.
std::unique_ptr<Comm> lone_rank(int rank, int size);

}  // namespace autarky
