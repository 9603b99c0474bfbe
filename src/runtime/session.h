// Executes a program on a backend and a communicator.
#pragma once
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "comm/comm.h"
#include "passes/program.h"
#include "passes/timeline.h"
#include "runtime/movement.h"

namespace autarky {

// The scratch that a backend's kernels ask for: what the memory pass plans with.
std::function<std::int64_t(const Node&, Types, Types)> scratch_of(const Backend& backend);

class Session;

// Looks on while a session runs: to keep what it computes, or to stand in for the other ranks.
class Observer {
 public:
  virtual ~Observer() = default;
  // Before the first call.
  virtual void begins(const Session&) {}
  // The results of that node of a call are there; those of a movement when it has ended, which may
  // be after later nodes. They stay until this returns.
  virtual void made(std::size_t call, std::size_t node, std::span<const Tensor> out) = 0;
  // True: `out` was filled in, and nothing is to be moved.
  virtual bool moves(std::size_t /*call*/, std::size_t /*node*/, std::span<const Tensor> /*out*/) {
    return false;
  }
};

class Session {
 public:
  // Memory is allocated here, all of it. `donor`: a session whose static buffers of the same names
  // are used instead of own ones (evaluation beside training).
  Session(Program program, const Backend& backend, std::unique_ptr<Memory> arena, Comm& comm,
          Session* donor = nullptr);

  // One pass over all calls.
  void run();

  const Program& program() const { return program_; }
  // A buffer's memory and local type; "" data where this kind of rank has no such buffer.
  Tensor buffer(std::string_view name) const;
  bool has(std::string_view name) const { return program_.find_buffer(name) >= 0; }

  void set_profiling(bool on) { profiling_ = on; }
  std::vector<NodeTime> profile() const;
  // Every run from now on writes its events here, in place of those of the run before; null: no
  // more. A movement's event is its start: it goes on beside what follows.
  void record(Timeline* timeline) { timeline_ = timeline; }
  // Of every run from now on, in place of those before; they must live as long.
  void observe(std::vector<Observer*> observers) { observers_ = std::move(observers); }

 private:
  struct PreparedNode {
    const Kernel* kernel = nullptr;  // null: a movement
    std::vector<Type> in_types, out_types;
    DimParts parts;
    std::vector<int> aliases;
    NodeTime time;
  };
  using Place = std::span<const std::byte>;
  struct NodeAt {
    std::size_t call, node;
  };
  struct Running {
    Place source;                // what it still reads
    std::vector<Place> results;  // what it writes
    std::unique_ptr<Move> move;
    NodeAt at;
    std::vector<Tensor> out;
  };

  void prepare_block(const Block& block, const Backend& backend);
  void run_call(std::size_t call);
  void run_node(const Node& node, PreparedNode& prepared, std::int64_t scratch,
                std::span<std::byte* const> at, NodeAt where);
  void note_time(const Node& node, PreparedNode& prepared,
                 std::chrono::steady_clock::time_point start);
  void start_movement(const Node& node, std::span<const Tensor> in, std::vector<Tensor> out,
                      NodeAt where);
  void finish_move(Running& running);
  void show(NodeAt where, std::span<const Tensor> out);  // to the observers
  // Waits for the movements that write what is read, or that read or write what is written.
  void finish_moves(std::span<const Place> read, std::span<const Place> written);

  Program program_;
  std::unique_ptr<Memory> arena_;
  Comm& comm_;
  std::vector<std::byte*> buffer_data_;
  std::vector<Type> buffer_types_;  // local
  std::vector<std::vector<PreparedNode>> blocks_;
  std::list<Running> running_;
  std::byte* frame_ = nullptr;
  bool profiling_ = false;
  Timeline* timeline_ = nullptr;
  std::vector<Observer*> observers_;
  std::chrono::steady_clock::time_point began_;  // the run
};

}  // namespace autarky
