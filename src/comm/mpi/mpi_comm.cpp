#include "comm/mpi/mpi_comm.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/process.h"
#include "comm/local/local_comm.h"
#include "comm/messages.h"
#include "comm/mpi/launched.h"
#include "comm/mpi/operations.h"
#include "comm/mpi/owner.h"

namespace autarky {
namespace {

using namespace mpi;

class Handle : public CommHandle {
 public:
  Handle(Owner& owner, std::unique_ptr<Operation> operation)
      : owner_(owner), operation_(std::move(operation)) {}
  ~Handle() override {
    // MPI may still write to an operation that it does not let go of.
    if (!owner_.release(*operation_)) static_cast<void>(operation_.release());
  }
  void wait() override { owner_.wait(*operation_); }
  bool done() override { return owner_.finished(*operation_); }

 private:
  Owner& owner_;
  std::unique_ptr<Operation> operation_;
};

class Done : public CommHandle {
 public:
  void wait() override {}
  bool done() override { return true; }
};

void copy(std::span<const std::byte> from, std::span<std::byte> to) {
  if (from.data() != to.data()) std::copy(from.begin(), from.end(), to.begin());
}

// Stage, sequence number and group of a message. Two groups of one pair of ranks with one tag are
// found by their openings.
Tags tags_of(int tag_bits, std::uint64_t group, std::uint64_t sequence) {
  constexpr int kStageBits = 2, kSequenceBits = 10;
  const int group_bits = std::min(tag_bits, 31) - kStageBits - kSequenceBits;
  const auto reduced = group == 0 ? 0 : 1 + group % ((std::uint64_t(1) << group_bits) - 1);
  const int base =
      int(((reduced << kSequenceBits) + sequence % (1u << kSequenceBits)) << kStageBits);
  return {base, base + 1, base + 2};
}

class MpiComm : public Comm {
 public:
  explicit MpiComm(OwnerPointer owner)
      : owner_(std::move(owner)), world_(owner_->world()), exceptions_(std::uncaught_exceptions()) {
    find_node();
    if (ranks_on_node_ <= usable_cores()) owner_->has_own_cores();
  }
  ~MpiComm() override {
    if (std::uncaught_exceptions() > exceptions_) {
      owner_->abort("it ended with an error");
      return;
    }
    try {
      const std::byte mine{};
      std::vector<std::byte> all(everyone().size());
      all_gather(everyone(), {&mine, 1}, all, {"the end", "mpi_comm.cpp"})->wait();
    } catch (const Error&) {
      return;  // told already: by the failure before it, or by the others when they miss this rank
    }
  }

  int rank() const override { return world_.rank; }
  int size() const override { return world_.size; }
  int ranks_on_node() const override { return ranks_on_node_; }
  int node_rank() const override { return node_rank_; }

  std::unique_ptr<CommHandle> all_reduce(std::span<const int> group, DType dtype, Reduction how,
                                         std::span<const std::byte> in, std::span<std::byte> out,
                                         const CommTag& tag) override {
    AUTARKY_CHECK(in.size() == out.size(), tag.operation);
    return reduce(group, Kind::all_reduce, dtype, how, in, out, tag);
  }

  std::unique_ptr<CommHandle> reduce_scatter(std::span<const int> group, DType dtype, Reduction how,
                                             std::span<const std::byte> in,
                                             std::span<std::byte> out,
                                             const CommTag& tag) override {
    AUTARKY_CHECK(in.size() == out.size() * group.size(), tag.operation);
    return reduce(group, Kind::reduce_scatter, dtype, how, in, out, tag);
  }

  std::unique_ptr<CommHandle> all_gather(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    AUTARKY_CHECK(out.size() == in.size() * group.size(), tag.operation);
    const auto from = [&](std::size_t) { return in; };
    return exchange(group, Kind::all_gather, in, out, from, tag);
  }

  std::unique_ptr<CommHandle> all_to_all(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    AUTARKY_CHECK(out.size() == in.size() && in.size() % group.size() == 0, tag.operation);
    const std::size_t piece = in.size() / group.size();
    const auto from = [&](std::size_t i) { return in.subspan(i * piece, piece); };
    return exchange(group, Kind::all_to_all, in, out, from, tag);
  }

  std::unique_ptr<CommHandle> send(int to, std::span<const std::byte> in,
                                   const CommTag& tag) override {
    return message({to, in, {}, true, false}, in.size(), sent_[to]++, tag);
  }
  std::unique_ptr<CommHandle> receive(int from, std::span<std::byte> out,
                                      const CommTag& tag) override {
    return message({from, {}, out, false, true}, out.size(), received_[from]++, tag);
  }

  void abort(const std::string& why) override { owner_->abort(why); }

 private:
  // What an operation of a group needs before its data.
  struct Call {
    std::size_t position;
    std::string description;
    Header header;
    Tags tags;
  };

  Call call(std::span<const int> group, Kind kind, std::size_t bytes, const CommTag& tag,
            DType dtype = DType::u8, Reduction how = Reduction::sum) {
    const auto me = std::find(group.begin(), group.end(), rank());
    AUTARKY_CHECK(me != group.end(), tag.operation);
    const auto sequence = sequence_[{group.begin(), group.end()}]++;
    const auto id = std::max<std::uint64_t>(1, xxh3(std::as_bytes(group)));
    return {std::size_t(me - group.begin()),
            describe(rank(), tag, sequence, bytes),
            {kind, dtype, how, id, sequence, bytes},
            tags_of(world_.tag_bits, id, sequence)};
  }

  std::unique_ptr<CommHandle> reduce(std::span<const int> group, Kind kind, DType dtype,
                                     Reduction how, std::span<const std::byte> in,
                                     std::span<std::byte> out, const CommTag& tag) {
    if (group.size() == 1) return copied(in, out);
    const auto c = call(group, kind, in.size(), tag, dtype, how);
    const Reduced reduced{dtype, how, in, out, c.position};
    if (out.size() <= kFewBytes)
      return start(make_small_reduce(c.description, c.header, c.tags, group, reduced));
    return start(
        make_large_reduce(c.description, c.header, c.tags, group, reduced, owner_->staging()));
  }

  template <class From>
  std::unique_ptr<CommHandle> exchange(std::span<const int> group, Kind kind,
                                       std::span<const std::byte> in, std::span<std::byte> out,
                                       From&& from, const CommTag& tag) {
    const auto c = call(group, kind, in.size(), tag);
    const std::size_t piece = out.size() / group.size();
    std::vector<Partner> partners;
    for (std::size_t i = 0; i < group.size(); ++i) {
      const auto target = out.subspan(i * piece, piece);
      if (i == c.position) copy(from(i), target);
      else partners.push_back({group[i], from(i), target});
    }
    if (partners.empty()) return std::make_unique<Done>();
    return start(std::make_unique<Exchange>(c.description, c.header, c.tags, std::move(partners)));
  }

  std::unique_ptr<CommHandle> message(const Partner& partner, std::size_t bytes,
                                      std::uint64_t sequence, const CommTag& tag) {
    AUTARKY_CHECK(partner.rank != rank(), tag.operation);
    const Header header{Kind::message, DType::u8, Reduction::sum, 0, sequence, bytes};
    return start(std::make_unique<Exchange>(describe(rank(), tag, sequence, bytes), header,
                                            tags_of(world_.tag_bits, 0, sequence),
                                            std::vector<Partner>{partner}));
  }

  std::unique_ptr<CommHandle> copied(std::span<const std::byte> in, std::span<std::byte> out) {
    copy(in, out);
    return std::make_unique<Done>();
  }

  std::unique_ptr<CommHandle> start(std::unique_ptr<Operation> operation) {
    Operation& started = *operation;
    auto handle = std::make_unique<Handle>(*owner_, std::move(operation));
    owner_->submit(started);
    return handle;
  }

  std::vector<int> everyone() const {
    std::vector<int> ranks(std::size_t(world_.size));
    std::iota(ranks.begin(), ranks.end(), 0);
    return ranks;
  }

  // Ranks whose machine has the same name.
  void find_node() {
    constexpr std::size_t kName = 256;
    std::vector<std::byte> mine(kName), all(kName * std::size_t(size()));
    std::memcpy(mine.data(), world_.node.data(), std::min(kName - 1, world_.node.size()));
    all_gather(everyone(), mine, all, {"the start", "mpi_comm.cpp"})->wait();
    for (int r = 0; r < size(); ++r)
      if (std::memcmp(mine.data(), all.data() + std::size_t(r) * kName, kName) == 0) {
        node_rank_ += r < rank();
        ++ranks_on_node_;
      }
    sequence_.clear();  // the first operation that is asked for has number 0
  }

  OwnerPointer owner_;
  Owner::World world_;
  int exceptions_, ranks_on_node_ = 0, node_rank_ = 0;
  std::map<std::vector<int>, std::uint64_t> sequence_;
  std::map<int, std::uint64_t> sent_, received_;
};

// Open MPI's start sets this variable where all ranks are on one machine, and so moves the
// environment while a thread of PMIx may be reading it, which ends the process (open-mpi/ompi
// issue 13428, seen with 4.1.3 to 4.1.8). What is set already is left as it is.
void set_what_mpi_would_set() {
  if (const auto l = launched(); l && l->ranks_on_node == l->size)
    ::setenv("PSM2_DEVICES", "self,shm", 0);
}

}  // namespace

std::unique_ptr<Comm> make_mpi_comm(std::chrono::milliseconds deadline) {
  set_what_mpi_would_set();
  OwnerPointer owner(new Owner(deadline));
  owner->await_start();
  return std::make_unique<MpiComm>(std::move(owner));
}

std::unique_ptr<Comm> make_comm(std::chrono::milliseconds deadline) {
  return under_mpi() ? make_mpi_comm(deadline) : single_rank();
}

}  // namespace autarky
