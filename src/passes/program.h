// A program: the blocks and calls of one training step for one kind of rank. verify.h checks it.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/mesh.h"

namespace autarky {

// An in-order stream: the compute queue, or one per mesh axis for what moves over it.
struct Queue {
  std::optional<Axis> axis;  // none: compute
  bool operator==(const Queue&) const = default;
};
std::string queue_name(Queue q);
// The queue a node runs in.
Queue queue_of(const Node& node);

// The passes in the order in which they run.
enum class Pass : std::uint8_t { autodiff, partition, recompute, fuse, schedule, bucket, memory };
inline constexpr std::string_view kPassNames[] = {"autodiff", "partition", "recompute", "fuse",
                                                  "schedule", "bucket",    "memory"};
constexpr std::string_view pass_name(Pass p) { return kPassNames[std::size_t(p)]; }
std::optional<Pass> parse_pass(std::string_view name);

// Where the values inside a block lie, relative to the block's frame.
struct Frame {
  std::map<int, std::int64_t> offsets;  // by value
  std::vector<std::int64_t> scratch;    // of each node's kernel; -1: none. Empty: not planned yet
  std::int64_t bytes = 0;
};

struct Block {
  Graph graph;
  Frame frame;
};

enum class BufferKind : std::uint8_t {
  param,
  master,
  grad,
  moment,
  cache,
  data,
  scalar,
  constant,
  activation,
  saved
};
inline constexpr std::string_view kBufferKindNames[] = {
    "parameters", "master weights", "gradients", "optimizer moments", "key/value cache",
    "data",       "scalars",        "constants", "activations",       "kept for backward"};
// Activations and kept values share memory as their lifetimes allow; the others stay.
constexpr bool is_static(BufferKind k) { return k < BufferKind::activation; }

struct Buffer {
  std::string name;
  BufferKind kind;
  Type type;
  std::int64_t bytes = 0;     // on one rank
  int first = -1, last = -1;  // calls that use it
  std::int64_t offset = -1;   // in the arena
  int same_as = -1;           // shares the memory of that (earlier) buffer: another layout of it
  bool borrowed = false;      // lies in another session's memory
};

struct Call {
  int block = -1;
  int layer = -1;  // of the model; -1: not a layer
  int microbatch = -1;
  Queue queue;
  std::vector<int> inputs, outputs;  // a buffer for each port
  std::vector<int> waits;            // calls of other queues whose results it needs
};

struct Program {
  std::string name;
  Mesh mesh;
  int stage = 0;              // index on the pp axis: what makes a kind of rank
  Pass after = Pass::memory;  // the last pass that has run; before schedule there are blocks only
  std::vector<Block> blocks;
  std::vector<Call> calls;
  std::vector<Buffer> buffers;
  std::int64_t static_bytes = 0, slot_bytes = 0,
               frame_bytes = 0;  // parts of the arena, in this order

  std::int64_t arena_bytes() const { return static_bytes + slot_bytes + frame_bytes; }
  int find_buffer(std::string_view name) const;  // -1: none
  int find_block(std::string_view name) const;   // -1: none
  std::map<std::string_view, std::int64_t> bytes_by_kind() const;
};

std::string print(const Program& program);
// The inverse of print; the program is verified. InputError names the line.
Program parse_program(std::string_view text);

}  // namespace autarky
