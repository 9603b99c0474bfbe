#include "comm/local/local_comm.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "comm/messages.h"

namespace autarky {

using Bytes = std::vector<std::byte>;

// What the members of a group have handed in for one operation, by position.
struct Exchange {
  std::vector<std::optional<Bytes>> inputs;
  int taken = 0;

  bool whole() const {
    return std::all_of(inputs.begin(), inputs.end(), [](const auto& in) { return bool(in); });
  }
};

// What a rank waits for: who hands in, and how many take it.
struct Awaited {
  std::string key;
  std::vector<int> from;
  int readers = 1;
  std::string description;
};

class LocalWorld {
 public:
  LocalWorld(int ranks, std::chrono::milliseconds deadline) : ranks_(ranks), deadline_(deadline) {}

  int ranks() const { return ranks_; }

  void hand_in(const std::string& key, std::size_t members, std::size_t position,
               std::span<const std::byte> in) {
    Bytes copy(in.begin(), in.end());
    const std::lock_guard lock(mutex_);
    Exchange& e = exchanges_[key];
    e.inputs.resize(members);
    e.inputs[position] = std::move(copy);
    changed_.notify_all();
  }

  // Waits for all inputs, lets `use` read them outside the lock, and drops the exchange after its
  // last reader.
  template <class Use>
  void take(const Awaited& what, Use&& use) {
    std::unique_lock lock(mutex_);
    const auto ready = [&] {
      const auto it = exchanges_.find(what.key);
      return !failure_.empty() || (it != exchanges_.end() && it->second.whole());
    };
    if (!changed_.wait_for(lock, deadline_, ready)) throw Error(missed(what));
    if (!failure_.empty())
      throw Error(fmt::format("{} was given up: {}", what.description, failure_));
    const Exchange& e = exchanges_.at(what.key);
    lock.unlock();
    use(e.inputs);
    lock.lock();
    if (++exchanges_.at(what.key).taken == what.readers) exchanges_.erase(what.key);
  }

  void fail(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = why;
    changed_.notify_all();
  }

 private:
  std::string missed(const Awaited& what) const {
    std::vector<int> missing;
    const auto it = exchanges_.find(what.key);
    for (std::size_t i = 0; i < what.from.size(); ++i)
      if (it == exchanges_.end() || !it->second.inputs[i]) missing.push_back(what.from[i]);
    return missed_deadline(what.description, deadline_, what.from.size(), missing);
  }

  int ranks_;
  std::chrono::milliseconds deadline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Exchange> exchanges_;
  std::string failure_;
};

namespace {

using Inputs = std::vector<std::optional<Bytes>>;

// Also proves that the source stayed as it was, which other communicators build on.
class Waiting : public CommHandle {
 public:
  Waiting(std::span<const std::byte> source, std::function<void()> finish)
      : source_(source), hash_(xxh3(source)), finish_(std::move(finish)) {}
  void wait() override {
    if (!finish_) return;
    AUTARKY_CHECK(xxh3(source_) == hash_, "a source changed before its operation was waited for");
    std::exchange(finish_, nullptr)();
  }

 private:
  std::span<const std::byte> source_;
  std::uint64_t hash_;
  std::function<void()> finish_;
};

class LocalComm : public Comm {
 public:
  LocalComm(LocalWorld& world, int rank) : world_(world), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return world_.ranks(); }
  int ranks_on_node() const override { return size(); }
  int node_rank() const override { return rank_; }

  std::unique_ptr<CommHandle> all_reduce(std::span<const int> group, DType dtype, Reduction how,
                                         std::span<const std::byte> in, std::span<std::byte> out,
                                         const CommTag& tag) override {
    return collective(group, in, tag, [=](const Inputs& inputs, std::size_t) {
      std::vector<const std::byte*> parts;
      for (const auto& input : inputs) parts.push_back(input->data());
      reduce_tree(dtype, how, parts, out);
    });
  }

  std::unique_ptr<CommHandle> reduce_scatter(std::span<const int> group, DType dtype, Reduction how,
                                             std::span<const std::byte> in,
                                             std::span<std::byte> out,
                                             const CommTag& tag) override {
    return collective(group, in, tag, [=](const Inputs& inputs, std::size_t position) {
      std::vector<const std::byte*> parts;
      for (const auto& input : inputs) parts.push_back(input->data() + position * out.size());
      reduce_tree(dtype, how, parts, out);
    });
  }

  std::unique_ptr<CommHandle> all_gather(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    return collective(group, in, tag, [=](const Inputs& inputs, std::size_t) {
      for (std::size_t i = 0; i < inputs.size(); ++i)
        copy(*inputs[i], out.subspan(i * in.size(), in.size()));
    });
  }

  std::unique_ptr<CommHandle> all_to_all(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    return collective(group, in, tag, [=](const Inputs& inputs, std::size_t position) {
      const std::size_t piece = in.size() / inputs.size();
      for (std::size_t i = 0; i < inputs.size(); ++i)
        copy(std::span(*inputs[i]).subspan(position * piece, piece), out.subspan(i * piece, piece));
    });
  }

  std::unique_ptr<CommHandle> send(int to, std::span<const std::byte> in, const CommTag&) override {
    world_.hand_in(pair_key(rank_, to, sent_[to]++), 1, 0, in);
    return std::make_unique<Waiting>(in, [] {});
  }

  std::unique_ptr<CommHandle> receive(int from, std::span<std::byte> out,
                                      const CommTag& tag) override {
    const auto sequence = received_[from]++;
    const Awaited what{
        pair_key(from, rank_, sequence), {from}, 1, describe(rank_, tag, sequence, out.size())};
    return std::make_unique<Waiting>(std::span<const std::byte>(), [this, what, out] {
      world_.take(what, [&](const Inputs& in) {
        check_bytes(what, in, out.size());
        copy(*in[0], out);
      });
    });
  }

  void abort(const std::string& why) override {
    world_.fail(fmt::format("rank {}: {}", rank_, why));
  }

 private:
  static std::string pair_key(int from, int to, std::uint64_t sequence) {
    return fmt::format("{}>{}#{}", from, to, sequence);
  }
  static void copy(std::span<const std::byte> from, std::span<std::byte> to) {
    std::copy(from.begin(), from.end(), to.begin());
  }

  static void check_bytes(const Awaited& what, const Inputs& inputs, std::size_t bytes) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i]->size() != bytes)
        throw Error(other_bytes(what.description, what.from[i], inputs[i]->size()));
  }

  template <class Finish>
  std::unique_ptr<CommHandle> collective(std::span<const int> group, std::span<const std::byte> in,
                                         const CommTag& tag, Finish finish) {
    Awaited what{fmt::format("{}#", fmt::join(group, ",")),
                 {group.begin(), group.end()},
                 int(group.size()),
                 ""};
    const auto sequence = sequence_[what.key]++;
    what.key += std::to_string(sequence);
    what.description = describe(rank_, tag, sequence, in.size());
    const auto position = std::size_t(std::find(group.begin(), group.end(), rank_) - group.begin());
    world_.hand_in(what.key, group.size(), position, in);
    return std::make_unique<Waiting>(in, [this, what, position, finish, bytes = in.size()] {
      world_.take(what, [&](const Inputs& inputs) {
        check_bytes(what, inputs, bytes);
        finish(inputs, position);
      });
    });
  }

  LocalWorld& world_;
  int rank_;
  std::map<std::string, std::uint64_t> sequence_;
  std::map<int, std::uint64_t> sent_, received_;
};

// A world of one that is its own owner.
class SingleRank : public LocalComm {
 public:
  explicit SingleRank(std::unique_ptr<LocalWorld> world)
      : LocalComm(*world, 0), world_(std::move(world)) {}

 private:
  std::unique_ptr<LocalWorld> world_;
};

}  // namespace

void run_local_ranks(int ranks, const std::function<void(Comm&)>& body,
                     std::chrono::milliseconds deadline) {
  LocalWorld world(ranks, deadline);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::exception_ptr first;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      LocalComm comm(world, r);
      try {
        body(comm);
      } catch (const std::exception& e) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        comm.abort(e.what());
      }
    });
  for (auto& t : threads) t.join();
  if (first) std::rethrow_exception(first);
}

std::unique_ptr<Comm> single_rank() {
  return std::make_unique<SingleRank>(std::make_unique<LocalWorld>(1, std::chrono::seconds(60)));
}

}  // namespace autarky
