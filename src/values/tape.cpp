#include "values/tape.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "formats/safetensors_writer.h"
#include "ops/movement.h"

namespace autarky {
namespace {

const Node& node_of(const Program& p, std::size_t call, std::size_t node) {
  return p.blocks[std::size_t(p.calls[call].block)].graph.nodes[node];
}

std::string name_of(std::size_t call, std::size_t node, std::size_t result) {
  const auto name = fmt::format("moved.{}.{}", call, node);
  return result == 0 ? name : fmt::format("{}.{}", name, result);
}

// A slice takes from the rank's own memory.
bool comes_from_others(const Node& node) {
  return (node.op->movement == Movement::collective && node.op != &op_info<Slice>()) ||
         node.op->movement == Movement::receive;
}

// Gradients are written before they are read.
bool is_kept(const Buffer& b) {
  return is_static(b.kind) && b.kind != BufferKind::grad && b.same_as < 0;
}

std::vector<std::int64_t> shape_of(const Type& type) {
  std::vector<std::int64_t> shape;
  for (const Dim& d : type.dims) shape.push_back(d.extent);
  return shape;
}

}  // namespace

fs::path tape_path(const fs::path& run, std::int64_t step, int rank) {
  return run / "trace" / fmt::format("step-{:08}.rank-{}.safetensors", step, rank);
}

std::vector<std::pair<std::int64_t, fs::path>> tapes(const fs::path& run) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "trace", none)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    if (name.starts_with("step-") && name.ends_with(".safetensors") &&
        std::from_chars(name.data() + 5, name.data() + name.size(), step).ec == std::errc())
      found.emplace_back(step, entry.path());
  }
  return found;
}

void TapeRecorder::keep(const std::string& name, const Tensor& t) {
  kept_[name] = {*t.type, {t.data, t.data + t.type->bytes()}};
}

void TapeRecorder::begins(const Session& session) {
  program_ = &session.program();
  for (const Buffer& b : program_->buffers)
    if (is_kept(b)) keep(b.name, session.buffer(b.name));
}

void TapeRecorder::made(std::size_t call, std::size_t node, std::span<const Tensor> out) {
  if (comes_from_others(node_of(*program_, call, node)))
    for (std::size_t o = 0; o < out.size(); ++o) keep(name_of(call, node, o), out[o]);
}

void TapeRecorder::write(const fs::path& path) const {
  fs::create_directories(path.parent_path());
  std::vector<SafetensorsSpec> specs;
  for (const auto& [name, kept] : kept_)
    specs.push_back({name, kept.type.dtype, shape_of(kept.type)});
  SafetensorsWriter writer(path, std::move(specs));
  for (const auto& [name, kept] : kept_) writer.write(name, kept.bytes);
  writer.finish();
}

void TapePlayer::play(const std::string& name, const Tensor& to) const {
  const auto& from = tape_.tensor(name);
  if (from.dtype != to.dtype() || std::int64_t(from.bytes.size()) != to.type->bytes())
    throw InputError("the step was kept by another program")
        .at(tape_.path().string())
        .found(fmt::format("{} with {} bytes", name, from.bytes.size()))
        .wanted(fmt::format("{} bytes of {}", to.type->bytes(), dtype_name(to.dtype())));
  std::memcpy(to.data, from.bytes.data(), from.bytes.size());
}

void TapePlayer::begins(const Session& session) {
  program_ = &session.program();
  for (const Buffer& b : program_->buffers)
    if (is_kept(b)) play(b.name, session.buffer(b.name));
}

bool TapePlayer::moves(std::size_t call, std::size_t node, std::span<const Tensor> out) {
  const Node& n = node_of(*program_, call, node);
  if (comes_from_others(n))
    for (std::size_t o = 0; o < out.size(); ++o) play(name_of(call, node, o), out[o]);
  return n.op != &op_info<Slice>();
}

namespace {

class LoneRank : public Comm {
 public:
  LoneRank(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int ranks_on_node() const override { return 1; }
  int node_rank() const override { return 0; }

  using Handle = std::unique_ptr<CommHandle>;
  using In = std::span<const std::byte>;
  using Out = std::span<std::byte>;
  using Group = std::span<const int>;
  Handle all_reduce(Group, DType, Reduction, In, Out, const CommTag&) override { return none(); }
  Handle reduce_scatter(Group, DType, Reduction, In, Out, const CommTag&) override {
    return none();
  }
  Handle all_gather(Group, In, Out, const CommTag&) override { return none(); }
  Handle all_to_all(Group, In, Out, const CommTag&) override { return none(); }
  Handle send(int, In, const CommTag&) override { return none(); }
  Handle receive(int, Out, const CommTag&) override { return none(); }
  void abort(const std::string&) override {}

 private:
  [[noreturn]] static Handle none() { AUTARKY_CHECK(false, "there are no other ranks"); }
  int rank_, size_;
};

}  // namespace

std::unique_ptr<Comm> lone_rank(int rank, int size) {
  return std::make_unique<LoneRank>(rank, size);
}

}  // namespace autarky
