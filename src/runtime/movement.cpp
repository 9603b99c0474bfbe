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

// A tensor cut along `dim`: `outer` runs of `inner` bytes.
struct Cut {
  std::int64_t outer, inner;
};
Cut cut_of(const Type& t, std::size_t dim) {
  Cut c{1, byte_size(t.dtype)};
  for (std::size_t i = 0; i < t.dims.size(); ++i) (i < dim ? c.outer : c.inner) *= t.dims[i].extent;
  return c;
}

// Copies piece `index` of `pieces` along a dim of `whole` to `piece`, or back.
void copy_piece(const Type& whole_type, std::size_t dim, std::int64_t pieces, std::int64_t index,
                std::byte* whole, std::byte* piece, bool to_whole) {
  const Cut c = cut_of(whole_type, dim);
  const auto run = std::size_t(c.inner / pieces);
  for (std::int64_t o = 0; o < c.outer; ++o) {
    std::byte* w = whole + o * c.inner + index * std::int64_t(run);
    std::byte* p = piece + o * std::int64_t(run);
    to_whole ? std::memcpy(w, p, run) : std::memcpy(p, w, run);
  }
}

// A tensor whose pieces along `dim` lie one after the other.
bool in_order(const Type& t, std::size_t dim) { return cut_of(t, dim).outer == 1; }

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

  // The pieces of `in` along `dim`, one after the other: as it lies, or packed.
  std::unique_ptr<Parts> cut_pieces(std::int64_t dim, int n) const {
    auto parts = whole();
    if (dim == kFlatDim) return filled_up(std::move(parts), std::size_t(n) * out_bytes().size());
    if (in_order(*in_.type, std::size_t(dim))) return parts;
    parts->packed.resize(in_bytes().size());
    const auto piece = std::int64_t(parts->packed.size()) / n;
    for (int i = 0; i < n; ++i)
      copy_piece(*in_.type, std::size_t(dim), n, i, in_.data, parts->packed.data() + i * piece,
                 false);
    parts->source = parts->packed;
    return parts;
  }

  // With zeros behind it, as flat pieces are.
  static std::unique_ptr<Parts> filled_up(std::unique_ptr<Parts> parts, std::size_t bytes) {
    if (bytes == parts->source.size()) return parts;
    parts->packed.assign(parts->source.begin(), parts->source.end());
    parts->packed.resize(bytes);
    parts->source = parts->packed;
    return parts;
  }

  // Where the pieces of `out` along `dim` arrive: in it, or in a staging place.
  std::span<std::byte> join_pieces(Parts& parts, std::int64_t dim, int n) {
    if (dim == kFlatDim) return join_flat(parts, std::size_t(n) * in_bytes().size());
    if (in_order(*out_.type, std::size_t(dim))) return out_bytes();
    parts.staging.resize(out_bytes().size());
    parts.unpack = [out = out_, dim, n, from = parts.staging.data()] {
      const auto piece = out.type->bytes() / n;
      for (int i = 0; i < n; ++i)
        copy_piece(*out.type, std::size_t(dim), n, i, out.data, from + i * piece, true);
    };
    return parts.staging;
  }

  // Without what the last pieces were filled up with.
  std::span<std::byte> join_flat(Parts& parts, std::size_t bytes) {
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
    if (a.dim == kFlatDim) {
      const auto in = in_bytes();
      const auto out = out_bytes();
      const auto begin = std::min(in.size(), std::size_t(index(a.axis)) * out.size());
      const auto end = std::min(in.size(), begin + out.size());
      std::fill(std::copy(in.begin() + std::ptrdiff_t(begin), in.begin() + std::ptrdiff_t(end),
                          out.begin()),
                out.end(), std::byte{0});
      return nullptr;
    }
    copy_piece(*in_.type, std::size_t(a.dim), mesh_.size(a.axis), index(a.axis), in_.data,
               out_.data, false);
    return nullptr;
  }

  int neighbour(std::int64_t step) const {
    Coordinates at = at_;
    at[static_cast<std::size_t>(Axis::pp)] += int(step);
    return mesh_.rank(at);
  }
  std::unique_ptr<Move> send() {
    return std::make_unique<Pending>(
        whole(), comm_.send(neighbour(attrs<Send>().step), in_bytes(), tag(Axis::pp)));
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
