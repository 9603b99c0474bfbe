#include "runtime/movement.h"

#include <fmt/core.h>

#include <functional>
#include <vector>

#include "base/error.h"
#include "ops/movement.h"
#include "passes/program.h"
#include "runtime/pieces.h"

namespace autarky {
namespace {

using Bytes = std::vector<std::byte>;

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
  Mover(const Node& node, std::span<const Tensor> in, std::span<const Tensor> out, const Mesh& mesh,
        Comm& comm)
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
  static std::span<std::byte> bytes_of(const Tensor& t) {
    return {t.data, std::size_t(t.type->bytes())};
  }
  int index(Axis a) const { return at_[static_cast<std::size_t>(a)]; }
  std::vector<int> group(Axis a) const { return mesh_.group(comm_.rank(), a); }
  CommTag tag(Axis a) const {
    return {fmt::format("{} {}", node_.op->name, axis_name(a)), node_.source};
  }

  // Several operands are added up where they are packed.
  std::unique_ptr<Move> all_reduce() {
    const auto& a = attrs<AllReduce>();
    auto parts = cut(Pieces(in_));
    const auto into = in_.size() == 1 ? bytes_of(out_[0]) : std::span(parts->packed);
    if (in_.size() > 1)
      parts->unpack = [out = Pieces(out_), from = into.data()] { out.join(from); };
    auto handle = comm_.all_reduce(group(a.axis), in_[0].dtype(), reduction_of(a.how),
                                   parts->source, into, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  std::unique_ptr<Move> all_gather() {
    const auto& a = attrs<AllGather>();
    auto parts = cut(Pieces(in_));
    const auto into = join(*parts, Pieces(out_, in_, a.dim, mesh_.size(a.axis)));
    auto handle = comm_.all_gather(group(a.axis), parts->source, into, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  // Several operands are added up where they are packed.
  std::unique_ptr<Move> reduce_scatter() {
    const auto& a = attrs<ReduceScatter>();
    auto parts = cut(Pieces(in_, out_, a.dim, mesh_.size(a.axis)));
    Pieces results(out_);
    auto into = bytes_of(out_[0]);
    if (out_.size() > 1) {
      into = std::span(parts->packed).first(results.bytes());
      parts->unpack = [out = std::move(results), from = into.data()] { out.join(from); };
    }
    auto handle = comm_.reduce_scatter(group(a.axis), in_[0].dtype(), reduction_of(a.how),
                                       parts->source, into, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  std::unique_ptr<Move> all_to_all() {
    const auto& a = attrs<AllToAll>();
    const auto n = mesh_.size(a.axis);
    auto parts = cut(Pieces(in_, out_, a.to_dim, n));
    const auto into = join(*parts, Pieces(out_, in_, a.from_dim, n));
    auto handle = comm_.all_to_all(group(a.axis), parts->source, into, tag(a.axis));
    return std::make_unique<Pending>(std::move(parts), std::move(handle));
  }

  // Sends the pieces of the inputs: as they lie, or packed.
  std::unique_ptr<Parts> cut(const Pieces& pieces) const {
    auto parts = std::make_unique<Parts>();
    parts->source = bytes_of(in_[0]);
    if (pieces.lie_in_place()) return parts;
    parts->packed.resize(pieces.bytes());
    pieces.cut(parts->packed.data());
    parts->source = parts->packed;
    return parts;
  }

  // Where the pieces of the results arrive: in place, or where they are unpacked from.
  std::span<std::byte> join(Parts& parts, Pieces pieces) const {
    if (pieces.lie_in_place()) return bytes_of(out_[0]);
    parts.staging.resize(pieces.bytes());
    parts.unpack = [pieces = std::move(pieces), from = parts.staging.data()] { pieces.join(from); };
    return parts.staging;
  }

  std::unique_ptr<Move> slice() {
    const auto& a = attrs<Slice>();
    for (std::size_t i = 0; i < in_.size(); ++i) cut_piece(in_[i], a.dim, index(a.axis), out_[i]);
    return nullptr;
  }

  int neighbour(std::int64_t step) const {
    Coordinates at = at_;
    at[static_cast<std::size_t>(Axis::pp)] += int(step);
    return mesh_.rank(at);
  }
  // From a copy: stages that waited until the other has received might do so in a circle.
  std::unique_ptr<Move> send() {
    auto parts = std::make_unique<Parts>();
    const auto bytes = bytes_of(in_[0]);
    parts->packed.assign(bytes.begin(), bytes.end());
    parts->source = parts->packed;
    const std::span source = parts->source;
    return std::make_unique<Pending>(
        std::move(parts), comm_.send(neighbour(attrs<Send>().step), source, tag(Axis::pp)));
  }
  std::unique_ptr<Move> receive() {
    return std::make_unique<Pending>(
        std::make_unique<Parts>(),
        comm_.receive(neighbour(attrs<Receive>().step), bytes_of(out_[0]), tag(Axis::pp)));
  }

  const Node& node_;
  std::span<const Tensor> in_, out_;
  const Mesh& mesh_;
  Comm& comm_;
  Coordinates at_;
};

}  // namespace

std::unique_ptr<Move> start_move(const Node& node, std::span<const Tensor> in,
                                 std::span<const Tensor> out, const Mesh& mesh, Comm& comm) {
  return Mover(node, in, out, mesh, comm).start();
}

}  // namespace autarky
