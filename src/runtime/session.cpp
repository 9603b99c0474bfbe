#include "runtime/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace autarky {

std::function<std::int64_t(const Node&, Types, Types)> scratch_of(const Backend& backend) {
  return [&table = backend.kernels()](const Node& node, Types in, Types out) -> std::int64_t {
    if (node.op->movement != Movement::none) return 0;
    const Choice choice = table.choose(*node.op, node.attrs, in, out);
    return choice.kernel ? choice.kernel->scratch(node.attrs, in, out) : 0;
  };
}

Session::Session(Program program, const Backend& backend, std::unique_ptr<Memory> arena, Comm& comm,
                 Session* donor)
    : program_(std::move(program)), arena_(std::move(arena)), comm_(comm) {
  for (const auto& b : program_.buffers) {
    const bool borrowed =
        donor && is_static(b.kind) && donor->has(b.name) && b.kind != BufferKind::data;
    buffer_data_.push_back(borrowed ? donor->buffer(b.name).data
                                    : arena_->bytes().data() + b.offset);
    buffer_types_.push_back(local_type(b.type, program_.mesh));
  }
  frame_ = arena_->bytes().data() + program_.static_bytes + program_.slot_bytes;
  for (const auto& block : program_.blocks) prepare_block(block, backend);
}

namespace {

// This rank's part of every split dim of a node.
DimParts parts_of(const Graph& graph, const Node& node, const Mesh& mesh, const Coordinates& at) {
  DimParts parts;
  const auto note = [&](const Type& t) {
    for (std::size_t d = 0; d < t.dims.size(); ++d)
      if (!t.layout.split[d].empty())
        parts[t.dims[d].name] = dim_part(t.dims[d].extent, mesh, t.layout.split[d], at);
  };
  for (Value v : node.in) note(graph.type(v));
  for (Value v : node.out) note(graph.type(v));
  return parts;
}

std::span<const std::byte> place_of(const Tensor& t) {
  return {t.data, std::size_t(t.type->bytes())};
}

bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
  return !a.empty() && !b.empty() && a.data() < b.data() + b.size() &&
         b.data() < a.data() + a.size();
}

}  // namespace

void Session::prepare_block(const Block& block, const Backend& backend) {
  const auto at = program_.mesh.coordinates(comm_.rank());
  std::vector<PreparedNode> nodes;
  for (const auto& node : block.graph.nodes) {
    PreparedNode p;
    for (Value v : node.in) p.in_types.push_back(local_type(block.graph.type(v), program_.mesh));
    for (Value v : node.out) p.out_types.push_back(local_type(block.graph.type(v), program_.mesh));
    p.parts = parts_of(block.graph, node, program_.mesh, at);
    p.aliases = node.op->aliases(node.attrs, node.in.size());
    if (node.op->movement == Movement::none) {
      const Choice choice = backend.kernels().choose(*node.op, node.attrs, p.in_types, p.out_types);
      if (!choice.kernel)
        throw Error(fmt::format("backend {} has no kernel for {}", backend.name(), node.op->name))
            .at(node.source);
      p.kernel = choice.kernel;
    }
    p.time = {block.graph.name,
              std::string(node.op->name),
              p.kernel ? p.kernel->name : "movement",
              0,
              0,
              node.op->cost(node.attrs, p.in_types, p.out_types)};
    nodes.push_back(std::move(p));
  }
  blocks_.push_back(std::move(nodes));
}

Tensor Session::buffer(std::string_view name) const {
  const int b = program_.find_buffer(name);
  AUTARKY_CHECK(b >= 0, name);
  return {buffer_data_[std::size_t(b)], &buffer_types_[std::size_t(b)]};
}

void Session::run() {
  began_ = std::chrono::steady_clock::now();
  if (timeline_) timeline_->clear();
  for (Observer* o : observers_) o->begins(*this);
  for (std::size_t c = 0; c < program_.calls.size(); ++c) run_call(c);
  for (auto& r : running_) finish_move(r);
  running_.clear();
}

void Session::run_call(std::size_t c) {
  const Call& call = program_.calls[c];
  const Block& block = program_.blocks[std::size_t(call.block)];
  const Graph& graph = block.graph;
  std::vector<std::byte*> at(graph.values.size(), nullptr);
  for (const auto& [value, offset] : block.frame.offsets) at[std::size_t(value)] = frame_ + offset;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i)
    at[std::size_t(graph.inputs[i].value.id)] = buffer_data_[std::size_t(call.inputs[i])];
  for (std::size_t i = 0; i < graph.outputs.size(); ++i)
    at[std::size_t(graph.outputs[i].value.id)] = buffer_data_[std::size_t(call.outputs[i])];
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    run_node(graph.nodes[n], blocks_[std::size_t(call.block)][n], block.frame.scratch[n], at,
             {c, n});
}

void Session::run_node(const Node& node, PreparedNode& p, std::int64_t scratch,
                       std::span<std::byte* const> at, NodeAt where) {
  std::vector<Tensor> in, out;
  for (std::size_t i = 0; i < node.in.size(); ++i)
    in.push_back({at[std::size_t(node.in[i].id)], &p.in_types[i]});
  for (std::size_t i = 0; i < node.out.size(); ++i)
    out.push_back({at[std::size_t(node.out[i].id)], &p.out_types[i]});
  const auto bytes =
      !p.kernel || scratch < 0 ? 0 : p.kernel->scratch(node.attrs, p.in_types, p.out_types);
  const std::span scratch_place{frame_ + std::max<std::int64_t>(scratch, 0), std::size_t(bytes)};
  if (!running_.empty()) {
    std::vector<Place> read, written{scratch_place};
    for (const auto& t : in) read.push_back(place_of(t));
    for (const auto& t : out) written.push_back(place_of(t));
    finish_moves(read, written);
  }
  const auto start = std::chrono::steady_clock::now();
  if (p.kernel == nullptr) {
    start_movement(node, in, out, where);
  } else {
    for (std::size_t o = 0; o < p.aliases.size() && o < out.size(); ++o)
      if (const int i = p.aliases[o]; i >= 0 && in[std::size_t(i)].data != out[o].data) {
        std::memcpy(out[o].data, in[std::size_t(i)].data, std::size_t(p.out_types[o].bytes()));
        in[std::size_t(i)].data = out[o].data;
      }
    p.kernel->launch(node.attrs, {in, out, p.parts, scratch_place});
  }
  if (profiling_ || timeline_) note_time(node, p, start);
  if (p.kernel) show(where, out);
}

void Session::note_time(const Node& node, PreparedNode& p,
                        std::chrono::steady_clock::time_point start) {
  const auto seconds = [](auto from, auto to) {
    return std::chrono::duration<double>(to - from).count();
  };
  const double taken = seconds(start, std::chrono::steady_clock::now());
  if (profiling_) {
    p.time.seconds += taken;
    ++p.time.calls;
  }
  if (timeline_)
    timeline_->push_back(
        {queue_name(queue_of(node)), p.time.block, p.time.op, seconds(began_, start), taken});
}

void Session::start_movement(const Node& node, std::span<const Tensor> in, std::vector<Tensor> out,
                             NodeAt where) {
  for (Observer* o : observers_)
    if (o->moves(where.call, where.node, out)) return show(where, out);
  auto move = start_move(node, in, out, program_.mesh, comm_);
  if (!move) return show(where, out);
  std::vector<Place> results;
  if (node.op->movement != Movement::send)
    for (const Tensor& t : out) results.push_back(place_of(t));
  // A send's copy goes when it has been received, not when somebody asks.
  std::erase_if(running_, [](const Running& r) { return r.results.empty() && r.move->done(); });
  running_.push_back({move->source(), std::move(results), std::move(move), where, std::move(out)});
}

void Session::finish_move(Running& r) {
  r.move->finish();
  if (!r.results.empty()) show(r.at, r.out);
}

void Session::show(NodeAt where, std::span<const Tensor> out) {
  for (Observer* o : observers_) o->made(where.call, where.node, out);
}

void Session::finish_moves(std::span<const Place> read, std::span<const Place> written) {
  const auto any = [](std::span<const Place> places, std::span<const Place> others) {
    for (Place place : places)
      for (Place other : others)
        if (overlap(place, other)) return true;
    return false;
  };
  for (auto r = running_.begin(); r != running_.end();) {
    const bool touched =
        any(read, r->results) || any(written, r->results) || any(written, {&r->source, 1});
    if (touched) finish_move(*r);
    r = touched ? running_.erase(r) : std::next(r);
  }
}

std::vector<NodeTime> Session::profile() const {
  std::vector<NodeTime> times;
  for (const auto& block : blocks_)
    for (const auto& node : block)
      if (node.time.calls > 0) {
        times.push_back(node.time);
        times.back().cost.flops *= double(node.time.calls);
        times.back().cost.bytes *= double(node.time.calls);
      }
  return times;
}

}  // namespace autarky
