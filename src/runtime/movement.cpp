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

// Without what the last pieces were filled up with.
void copy_flat(const Bytes& pieces, const Tensor& whole) {
  std::memcpy(whole.data, pieces.data(), std::size_t(whole.type->bytes()));
}

class Pending : public Move {
 public:
  Pending(std::unique_ptr<CommHandle> handle, std::shared_ptr<Bytes> staging,
          std::function<void()> unpack)
      : handle_(std::move(handle)), staging_(std::move(staging)), unpack_(std::move(unpack)) {}
  void finish() override {
    if (handle_) handle_->wait();
    if (unpack_) unpack_();
  }

 private:
  std::unique_ptr<CommHandle> handle_;
  std::shared_ptr<Bytes> staging_;
  std::function<void()> unpack_;
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
    const auto group = mesh_.group(comm_.rank(), a.axis);
    return std::make_unique<Pending>(comm_.all_reduce(group, in_.dtype(), reduction_of(a.how),
                                                      in_bytes(), out_bytes(), tag(a.axis)),
                                     nullptr, nullptr);
  }

  std::unique_ptr<Move> all_gather() {
    const auto& a = attrs<AllGather>();
    const auto n = mesh_.size(a.axis);
    const auto staging = std::make_shared<Bytes>(std::size_t(n * in_.type->bytes()));
    auto handle =
        comm_.all_gather(mesh_.group(comm_.rank(), a.axis), in_bytes(), *staging, tag(a.axis));
    return std::make_unique<Pending>(std::move(handle), staging,
                                     [out = out_, dim = a.dim, n, staging] {
                                       const auto piece = std::int64_t(staging->size()) / n;
                                       if (dim == kFlatDim) return copy_flat(*staging, out);
                                       for (int i = 0; i < n; ++i)
                                         copy_piece(*out.type, std::size_t(dim), n, i, out.data,
                                                    staging->data() + i * piece, true);
                                     });
  }

  // All-to-all, then a local sum by the tree: the bytes of a ring, a fixed order.
  std::unique_ptr<Move> reduce_scatter() {
    const auto& a = attrs<ReduceScatter>();
    const auto n = mesh_.size(a.axis);
    const auto piece = out_.type->bytes();
    Bytes packed(std::size_t(n * piece));
    if (a.dim == kFlatDim) std::memcpy(packed.data(), in_.data, std::size_t(in_.type->bytes()));
    for (int i = 0; i < n && a.dim != kFlatDim; ++i)
      copy_piece(*in_.type, std::size_t(a.dim), n, i, in_.data, packed.data() + i * piece, false);
    const auto staging = std::make_shared<Bytes>(packed.size());
    auto handle =
        comm_.all_to_all(mesh_.group(comm_.rank(), a.axis), packed, *staging, tag(a.axis));
    return std::make_unique<Pending>(std::move(handle), staging,
                                     [out = out_, n, piece, staging, how = reduction_of(a.how)] {
                                       tree(out.dtype(), how, staging->data(), piece, 0, n);
                                       std::memcpy(out.data, staging->data(), std::size_t(piece));
                                     });
  }

  // Leaves the sum of pieces [from, to) in piece `from`.
  static void tree(DType dtype, Reduction how, std::byte* data, std::int64_t piece, int from,
                   int to) {
    if (to - from == 1) return;
    const int middle = from + (to - from + 1) / 2;
    tree(dtype, how, data, piece, from, middle);
    tree(dtype, how, data, piece, middle, to);
    reduce_into(dtype, how, {data + from * piece, std::size_t(piece)},
                {data + middle * piece, std::size_t(piece)});
  }

  std::unique_ptr<Move> all_to_all() {
    const auto& a = attrs<AllToAll>();
    const auto n = mesh_.size(a.axis);
    Bytes packed(std::size_t(in_.type->bytes()));
    const auto piece = std::int64_t(packed.size()) / n;
    for (int i = 0; i < n; ++i)
      copy_piece(*in_.type, std::size_t(a.to_dim), n, i, in_.data, packed.data() + i * piece,
                 false);
    const auto staging = std::make_shared<Bytes>(packed.size());
    auto handle =
        comm_.all_to_all(mesh_.group(comm_.rank(), a.axis), packed, *staging, tag(a.axis));
    return std::make_unique<Pending>(std::move(handle), staging,
                                     [out = out_, dim = a.from_dim, n, piece, staging] {
                                       for (int i = 0; i < n; ++i)
                                         copy_piece(*out.type, std::size_t(dim), n, i, out.data,
                                                    staging->data() + i * piece, true);
                                     });
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
    comm_.send(neighbour(attrs<Send>().step), in_bytes(), tag(Axis::pp));
    return nullptr;
  }
  std::unique_ptr<Move> receive() {
    return std::make_unique<Pending>(
        comm_.receive(neighbour(attrs<Receive>().step), out_bytes(), tag(Axis::pp)), nullptr,
        nullptr);
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
