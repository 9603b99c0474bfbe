#include "runtime/movement.h"

#include <fmt/core.h>

#include <cstring>
#include <functional>
#include <vector>

#include "base/error.h"
#include "ops/movement.h"
#include "passes/program.h"

namespace autarky {
namespace {

using Bytes = std::vector<std::byte>;

// A tensor along `dim`: `outer` runs of `extent` units of `unit` bytes.
struct Runs {
  std::int64_t outer, extent, unit;
  std::int64_t bytes(std::int64_t units) const { return outer * units * unit; }
};
Runs runs_of(const Type& t, std::size_t dim) {
  Runs r{1, t.dims[dim].extent, byte_size(t.dtype)};
  for (std::size_t i = 0; i < t.dims.size(); ++i)
    if (i != dim) (i < dim ? r.outer : r.unit) *= t.dims[i].extent;
  return r;
}

// Copies piece `index` of `units` along a dim from `whole` to `piece`, filled up with zeros where
// the whole ends.
void cut_piece(const Runs& r, std::int64_t units, std::int64_t index, const std::byte* whole,
               std::byte* piece) {
  const auto begin = std::min(index * units, r.extent), end = std::min(begin + units, r.extent);
  const auto bytes = std::size_t((end - begin) * r.unit), room = std::size_t(units * r.unit);
  for (std::int64_t o = 0; o < r.outer; ++o, piece += room) {
    std::memcpy(piece, whole + (o * r.extent + begin) * r.unit, bytes);
    std::memset(piece + bytes, 0, room - bytes);
  }
}
// And back, without what it was filled up with.
void join_piece(const Runs& r, std::int64_t units, std::int64_t index, const std::byte* piece,
                std::byte* whole) {
  const auto begin = std::min(index * units, r.extent), end = std::min(begin + units, r.extent);
  for (std::int64_t o = 0; o < r.outer; ++o)
    std::memcpy(whole + (o * r.extent + begin) * r.unit, piece + o * units * r.unit,
                std::size_t((end - begin) * r.unit));
}

// What a movement sends from, receives into, and does at its end.
struct Parts {
  std::span<const std::byte> source;
  Bytes packed, staging;  // where the tensors themselves do not do
  std::function<void()> unpack;
};

class Pending : public Move {
 public:
  Pending(std::unique_ptr<Parts> parts, std::unique_ptr<CommHandle> handle)
      : parts_(std::move(parts)), handle_(std::move(handle)) {}
  void finish() override {
    handle_->wait();
    if (parts_->unpack) parts_->unpack();
  }
  bool done() const override { return handle_->done(); }
  std::span<const std::byte> source() const override {
    return parts_->packed.empty() ? parts_->source : std::span<const std::byte>();
  }

 private:
  std::unique_ptr<Parts> parts_;  // goes after the handle, which may still use it
  std::unique_ptr<CommHandle> handle_;
};

Reduction reduction_of(Combine how) {
  if (how == Combine::max) return Reduction::max;
  return how == Combine::lse ? Reduction::log_sum_exp : Reduction::sum;
}

class Mover {
 public:
  Mover(const Node& node, const Tensor& in, const Tensor& out, const Mesh& mesh, Comm& comm)
      : node_(node),
        in_(in),
        out_(out),
        mesh_(mesh),
        comm_(comm),
        at_(mesh.coordinates(comm.rank())) {}

  std::unique_ptr<Move> start() {
    if (node_.op == &op_info<AllReduce>()) return all_reduce();
    if (node_.op == &op_info<AllGather>()) return all_gather();
    if (node_.op == &op_info<ReduceScatter>()) return reduce_scatter();
    if (node_.op == &op_info<AllToAll>()) return all_to_all();
    if (node_.op == &op_info<Slice>()) return slice();
    if (node_.op->movement == Movement::send) return send();
    return receive();
  }

 private:
  template <class Op>
  const typename Op::Attrs& attrs() const {
    return erased::attrs_of<Op>(node_.attrs);
  }
  std::span<const std::byte> in_bytes() const { return {in_.data, std::size_t(in_.type->bytes())}; }
  std::span<std::byte> out_bytes() const { return {out_.data, std::size_t(out_.type->bytes())}; }
  int index(Axis a) const { return at_[static_cast<std::size_t>(a)]; }
  CommTag tag(Axis a) const {
    return {fmt::format("{} {}", node_.op->name, axis_name(a)), node_.source};
  }

  std::unique_ptr<Move> all_reduce() {
    const auto& a = attrs<AllReduce>();
    auto parts = whole();
    auto handle = comm_.all_reduce(group(a.axis), in_.dtype(), reduction_of(a.how), in_bytes(),
                                   out_bytes(), tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  std::unique_ptr<Move> all_gather() {
    const auto& a = attrs<AllGather>();
    auto parts = whole();
    const auto into = join_pieces(*parts, a.dim, mesh_.size(a.axis));
    auto handle = comm_.all_gather(group(a.axis), in_bytes(), into, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  // All-to-all, then a local sum by the tree: the bytes of a ring, a fixed order.
  std::unique_ptr<Move> reduce_scatter() {
    const auto& a = attrs<ReduceScatter>();
    const auto n = std::size_t(mesh_.size(a.axis));
    auto parts = cut_pieces(a.dim, int(n));
    parts->staging.resize(parts->source.size());
    parts->unpack = [out = out_bytes(), n, from = parts->staging.data(), dtype = out_.dtype(),
                     how = reduction_of(a.how)] {
      std::vector<const std::byte*> pieces;
      for (std::size_t i = 0; i < n; ++i) pieces.push_back(from + i * out.size());
      reduce_tree(dtype, how, pieces, out);
    };
    auto handle = comm_.all_to_all(group(a.axis), parts->source, parts->staging, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  std::unique_ptr<Move> all_to_all() {
    const auto& a = attrs<AllToAll>();
    const auto n = mesh_.size(a.axis);
    auto parts = cut_pieces(a.to_dim, n);
    const auto into = join_pieces(*parts, a.from_dim, n);
    auto handle = comm_.all_to_all(group(a.axis), parts->source, into, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  std::vector<int> group(Axis a) const { return mesh_.group(comm_.rank(), a); }

  std::unique_ptr<Parts> whole() const {
    auto parts = std::make_unique<Parts>();
    parts->source = in_bytes();
    return parts;
  }

  // The `n` pieces of `in` along `dim`, one after the other: as it lies, or packed.
  std::unique_ptr<Parts> cut_pieces(std::int64_t dim, int n) const {
    auto parts = whole();
    if (dim == kFlatDim) return filled_up(std::move(parts), std::size_t(n) * out_bytes().size());
    const Runs runs = runs_of(*in_.type, std::size_t(dim));
    const auto units = out_.extent(std::size_t(dim));
    if (runs.outer == 1) return filled_up(std::move(parts), std::size_t(runs.bytes(n * units)));
    parts->packed.resize(std::size_t(runs.bytes(n * units)));
    for (int i = 0; i < n; ++i)
      cut_piece(runs, units, i, in_.data, parts->packed.data() + i * runs.bytes(units));
    parts->source = parts->packed;
    return parts;
  }

  // With zeros behind it.
  static std::unique_ptr<Parts> filled_up(std::unique_ptr<Parts> parts, std::size_t bytes) {
    if (bytes == parts->source.size()) return parts;
    parts->packed.assign(parts->source.begin(), parts->source.end());
    parts->packed.resize(bytes);
    parts->source = parts->packed;
    return parts;
  }

  // Where the `n` pieces of `out` along `dim` arrive: in it, or in a staging place.
  std::span<std::byte> join_pieces(Parts& parts, std::int64_t dim, int n) {
    if (dim == kFlatDim) return join_in_order(parts, std::size_t(n) * in_bytes().size());
    const Runs runs = runs_of(*out_.type, std::size_t(dim));
    const auto units = in_.extent(std::size_t(dim));
    if (runs.outer == 1) return join_in_order(parts, std::size_t(runs.bytes(n * units)));
    parts.staging.resize(std::size_t(runs.bytes(n * units)));
    parts.unpack = [out = out_.data, runs, units, n, from = parts.staging.data()] {
      for (int i = 0; i < n; ++i) join_piece(runs, units, i, from + i * runs.bytes(units), out);
    };
    return parts.staging;
  }

  // Without what the last pieces were filled up with.
  std::span<std::byte> join_in_order(Parts& parts, std::size_t bytes) {
    const auto out = out_bytes();
    if (bytes == out.size()) return out;
    parts.staging.resize(bytes);
    parts.unpack = [out, from = parts.staging.data()] {
      std::memcpy(out.data(), from, out.size());
    };
    return parts.staging;
  }

  std::unique_ptr<Move> slice() {
    const auto& a = attrs<Slice>();
    const bool flat = a.dim == kFlatDim;
    const auto unit = byte_size(in_.dtype());
    const Runs runs = flat ? Runs{1, in_.elements(), unit} : runs_of(*in_.type, std::size_t(a.dim));
    cut_piece(runs, flat ? out_.elements() : out_.extent(std::size_t(a.dim)), index(a.axis),
              in_.data, out_.data);
    return nullptr;
  }

  int neighbour(std::int64_t step) const {
    Coordinates at = at_;
    at[static_cast<std::size_t>(Axis::pp)] += int(step);
    return mesh_.rank(at);
  }
  // From a copy: stages that waited until the other has received might do so in a circle.
  std::unique_ptr<Move> send() {
    auto parts = whole();
    parts->packed.assign(parts->source.begin(), parts->source.end());
    parts->source = parts->packed;
    const std::span source = parts->source;
    return std::make_unique<Pending>(
        std::move(parts), comm_.send(neighbour(attrs<Send>().step), source, tag(Axis::pp)));
  }
  std::unique_ptr<Move> receive() {
    return std::make_unique<Pending>(
        std::make_unique<Parts>(),
        comm_.receive(neighbour(attrs<Receive>().step), out_bytes(), tag(Axis::pp)));
  }

  const Node& node_;
  Tensor in_, out_;
  const Mesh& mesh_;
  Comm& comm_;
  Coordinates at_;
};

}  // namespace

std::unique_ptr<Move> start_move(const Node& node, const Tensor& in, const Tensor& out,
                                 const Mesh& mesh, Comm& comm) {
  return Mover(node, in, out, mesh, comm).start();
}

}  // namespace autarky
