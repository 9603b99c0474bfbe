// A program as text, and back.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "ir/scanner.h"
#include "ops/catalog.h"
#include "passes/program.h"
#include "passes/verify.h"

namespace autarky {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t(1) << 56;
constexpr std::int64_t kMostCalls = 1 << 30;

// "moves N bytes"
NoteOf note_bytes(const Mesh& mesh) {
  return [&mesh](const Graph& graph, const Node& node) -> std::string {
    if (node.in.empty() || node.out.empty() || !queue_of(node).axis) return "";
    std::vector<Type> in, out;
    for (Value v : node.in) in.push_back(local_type(graph.type(v), mesh));
    for (Value v : node.out) out.push_back(local_type(graph.type(v), mesh));
    return fmt::format(" moves {} bytes", bytes_moved(in, out));
  };
}

std::string print_frame(const Block& block) {
  const Frame& frame = block.frame;
  if (frame.scratch.empty()) return "";
  std::string text = fmt::format("frame of {}: {} bytes {{\n", block.graph.name, frame.bytes);
  for (const auto& [value, offset] : frame.offsets)
    text += fmt::format("  %{} at {}\n", value, offset);
  for (std::size_t n = 0; n < frame.scratch.size(); ++n)
    if (frame.scratch[n] >= 0)
      text += fmt::format("  scratch of node {} at {}\n", n, frame.scratch[n]);
  return text + "}\n";
}

std::string print_buffer(const Program& p, const Buffer& b) {
  std::string text = fmt::format("buffer {}: {}, {}", b.name, to_string(b.type),
                                 kBufferKindNames[std::size_t(b.kind)]);
  if (b.bytes > 0) text += fmt::format(", {} bytes", b.bytes);
  if (b.offset >= 0) text += fmt::format(", at {}", b.offset);
  if (b.first >= 0) text += fmt::format(", calls {}..{}", b.first, b.last);
  if (b.same_as >= 0) text += fmt::format(", memory of {}", p.buffers[std::size_t(b.same_as)].name);
  return text + (b.borrowed ? ", borrowed\n" : "\n");
}

std::string names(const Program& p, const std::vector<int>& buffers) {
  std::string text;
  for (int b : buffers) text += (text.empty() ? "" : ", ") + p.buffers[std::size_t(b)].name;
  return text;
}

std::string print_call(const Program& p, std::size_t i) {
  const Call& c = p.calls[i];
  std::string text = fmt::format("call {}: {} layer {} micro-batch {} on {} ({}) -> ({})", i,
                                 p.blocks[std::size_t(c.block)].graph.name, c.layer, c.microbatch,
                                 queue_name(c.queue), names(p, c.inputs), names(p, c.outputs));
  for (int w : c.waits) text += fmt::format("{} {}", w == c.waits.front() ? " after" : ",", w);
  return text + "\n";
}

class ProgramParser {
 public:
  explicit ProgramParser(std::string_view text) : lines_(lines_of(text)) {}

  Program parse() {
    parse_head(next());
    while (at_ < lines_.size()) {
      LineScanner s = next();
      if (s.left().starts_with("graph ")) parse_block();
      else if (s.accept("frame of ")) parse_frame(s);
      else if (s.accept("buffer ")) parse_buffer(s);
      else if (s.accept("call ")) parse_call(s);
      else if (s.accept("memory: ")) parse_memory(s);
      else s.bad("a graph, frame, buffer, call or the memory line");
    }
    if (!ended_) line(at_).bad("the memory line");
    line(at_ - 1).named([&] { verify(p_); });
    return std::move(p_);
  }

 private:
  LineScanner line(std::size_t i) const {
    return {i < lines_.size() ? lines_[i] : std::string_view(), i + 1};
  }
  LineScanner next() {
    LineScanner s = line(at_);
    if (ended_) s.bad("nothing after the memory line");
    ++at_;
    return s;
  }

  // "program NAME on MESH, stage N, after PASS"
  void parse_head(LineScanner s) {
    s.expect("program ");
    p_.name = s.word("the program's name");
    s.expect(" on ");
    const auto mesh = s.until(", stage ", "a mesh");
    const auto parsed = parse_mesh(mesh);
    if (!parsed) s.bad(mesh, "a mesh like 'pp2 tp4', or 'one rank'");
    p_.mesh = *parsed;
    p_.stage = int(s.number(0, p_.mesh.size(Axis::pp) - 1));
    s.expect(", after ");
    p_.after = static_cast<Pass>(s.choice(kPassNames));
    s.end();
  }

  void parse_block() {
    const std::size_t first = at_ - 1;
    while (at_ < lines_.size() && lines_[at_] != "}") ++at_;
    if (at_ == lines_.size()) line(at_).bad("'}'");
    const auto* end = lines_[at_].data() + lines_[at_].size();
    ++at_;
    Graph graph = parse_graph({lines_[first].data(), end}, find_op, first + 1, note_bytes(p_.mesh));
    if (!block_ids_.emplace(graph.name, int(p_.blocks.size())).second)
      line(first).bad(graph.name, "a name that no block before has");
    p_.blocks.push_back({std::move(graph), {}});
  }

  // "frame of NAME: N bytes {", lines "  %3 at 0" and "  scratch of node 2 at 64", "}"
  void parse_frame(LineScanner s) {
    Block& block = p_.blocks[find(s, block_ids_, "block")];
    if (!block.frame.scratch.empty()) s.bad(block.graph.name, "a block that has no frame yet");
    s.expect(": ");
    block.frame.bytes = s.number(0, kMostBytes);
    s.expect(" bytes {");
    s.end();
    block.frame.scratch.assign(block.graph.nodes.size(), -1);
    for (;;) {
      LineScanner row = next();
      if (row.accept("}")) return row.end();
      parse_place(row, block);
    }
  }
  void parse_place(LineScanner& s, Block& block) {
    const auto place = [&](std::string_view before, std::size_t count) {
      s.expect(before);
      if (count == 0) s.bad("a block that has one");
      return s.number(0, std::int64_t(count) - 1);
    };
    const bool scratch = s.left().starts_with("  scratch");
    const auto id = scratch ? place("  scratch of node ", block.graph.nodes.size())
                            : place("  %", block.graph.values.size());
    s.expect(" at ");
    const auto offset = s.number(0, kMostBytes);
    s.end();
    if (scratch) block.frame.scratch[std::size_t(id)] = offset;
    else if (!block.frame.offsets.emplace(int(id), offset).second) s.bad("each value once");
  }

  // "buffer NAME: TYPE, KIND, N bytes, at N, calls N..N, memory of NAME, borrowed"
  void parse_buffer(LineScanner& s) {
    Buffer b;
    b.name = s.word("the buffer's name");
    s.expect(": ");
    b.type = s.type();
    s.expect(", ");
    b.kind = parse_kind(s);
    if (s.left().starts_with(", ") && s.left().size() > 2 && s.left()[2] >= '0' &&
        s.left()[2] <= '9') {
      s.expect(", ");
      b.bytes = s.number(1, kMostBytes);
      s.expect(" bytes");
    }
    if (s.accept(", at ")) b.offset = s.number(0, kMostBytes);
    if (s.accept(", calls ")) {
      b.first = int(s.number(0, kMostCalls));
      s.expect("..");
      b.last = int(s.number(b.first, kMostCalls));
    }
    if (s.accept(", memory of ")) b.same_as = int(find(s, buffer_ids_, "buffer"));
    b.borrowed = s.accept(", borrowed");
    s.end();
    if (!buffer_ids_.emplace(b.name, int(p_.buffers.size())).second)
      s.bad(b.name, "a name that no buffer before has");
    p_.buffers.push_back(std::move(b));
  }
  BufferKind parse_kind(LineScanner& s) const {
    for (std::size_t k = 0; k < std::size(kBufferKindNames); ++k)
      if (s.accept(kBufferKindNames[k])) return static_cast<BufferKind>(k);
    s.bad(fmt::format("a kind of buffer: {}", fmt::join(kBufferKindNames, ", ")));
  }

  // "call N: BLOCK layer L micro-batch M on QUEUE (BUFFER, BUFFER) -> (BUFFER) after CALL, CALL"
  void parse_call(LineScanner& s) {
    Call c;
    const auto i = std::int64_t(p_.calls.size());
    s.number(i, i);
    s.expect(": ");
    c.block = int(find(s, block_ids_, "block"));
    s.expect(" layer ");
    c.layer = int(s.number(-1, kMostCalls));
    s.expect(" micro-batch ");
    c.microbatch = int(s.number(-1, kMostCalls));
    s.expect(" on ");
    const auto queue = s.word("a queue");
    c.queue.axis = parse_axis(queue);
    if (!c.queue.axis && queue != "compute") s.bad(queue, "compute or an axis");
    s.expect(" ");
    c.inputs = parse_buffers(s);
    s.expect(" -> ");
    c.outputs = parse_buffers(s);
    if (s.accept(" after ")) {
      do c.waits.push_back(int(s.number(0, i - 1)));
      while (s.accept(", "));
    }
    s.end();
    p_.calls.push_back(std::move(c));
    s.named([&] { verify_call(p_, std::size_t(i)); });
  }
  std::vector<int> parse_buffers(LineScanner& s) const {
    std::vector<int> buffers;
    s.expect("(");
    if (s.accept(")")) return buffers;
    do buffers.push_back(int(find(s, buffer_ids_, "buffer")));
    while (s.accept(", "));
    s.expect(")");
    return buffers;
  }

  // "memory: static N + slots N + frame N = N bytes"
  void parse_memory(LineScanner& s) {
    s.expect("static ");
    p_.static_bytes = s.number(0, kMostBytes);
    s.expect(" + slots ");
    p_.slot_bytes = s.number(0, kMostBytes);
    s.expect(" + frame ");
    p_.frame_bytes = s.number(0, kMostBytes);
    s.expect(" = ");
    s.number(p_.arena_bytes(), p_.arena_bytes());
    s.expect(" bytes");
    s.end();
    ended_ = true;
  }

  using Ids = std::map<std::string, int, std::less<>>;
  static std::size_t find(LineScanner& s, const Ids& ids, std::string_view what) {
    const auto name = s.word(fmt::format("the name of a {}", what));
    const auto it = ids.find(name);
    if (it == ids.end()) s.bad(name, fmt::format("a {} of a line before", what));
    return std::size_t(it->second);
  }

  std::vector<std::string_view> lines_;
  std::size_t at_ = 0;
  bool ended_ = false;
  Program p_;
  Ids block_ids_, buffer_ids_;
};

}  // namespace

std::string print(const Program& p) {
  std::string text = fmt::format("program {} on {}, stage {}, after {}\n", p.name,
                                 p.mesh.to_string(), p.stage, pass_name(p.after));
  for (const auto& block : p.blocks)
    text += print(block.graph, note_bytes(p.mesh)) + print_frame(block);
  for (const auto& b : p.buffers) text += print_buffer(p, b);
  for (std::size_t i = 0; i < p.calls.size(); ++i) text += print_call(p, i);
  return text + fmt::format("memory: static {} + slots {} + frame {} = {} bytes\n", p.static_bytes,
                            p.slot_bytes, p.frame_bytes, p.arena_bytes());
}

Program parse_program(std::string_view text) { return ProgramParser(text).parse(); }

}  // namespace autarky
