#include "comm/local/local_comm.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"

namespace autarky {

using Bytes = std::vector<std::byte>;

// What the members of a group have handed in for one operation.
struct Exchange {
  std::vector<Bytes> inputs;
  int handed_in = 0, taken = 0;
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
    ++e.handed_in;
    changed_.notify_all();
  }

  // Waits for `needed` inputs, lets `use` read them outside the lock, and drops the exchange after
  // its last reader.
  template <class Use>
  void take(const std::string& key, int needed, int readers, const std::string& description,
            Use&& use) {
    std::unique_lock lock(mutex_);
    const auto ready = [&] {
      const auto it = exchanges_.find(key);
      return !failure_.empty() || (it != exchanges_.end() && it->second.handed_in == needed);
    };
    if (!changed_.wait_for(lock, deadline_, ready)) {
      const auto it = exchanges_.find(key);
      throw Error(fmt::format("{} did not complete within {} ms; {} of {} ranks took part",
                              description, deadline_.count(),
                              it == exchanges_.end() ? 0 : it->second.handed_in, needed));
    }
    if (!failure_.empty()) throw Error(fmt::format("{} was given up: {}", description, failure_));
    const Exchange& e = exchanges_.at(key);
    lock.unlock();
    use(e.inputs);
    lock.lock();
    if (++exchanges_.at(key).taken == readers) exchanges_.erase(key);
  }

  void fail(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = why;
    changed_.notify_all();
  }

 private:
  int ranks_;
  std::chrono::milliseconds deadline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Exchange> exchanges_;
  std::string failure_;
};

namespace {

class Waiting : public CommHandle {
 public:
  explicit Waiting(std::function<void()> finish) : finish_(std::move(finish)) {}
  void wait() override {
    if (finish_) std::exchange(finish_, nullptr)();
  }

 private:
  std::function<void()> finish_;
};

class LocalComm : public Comm {
 public:
  LocalComm(LocalWorld& world, int rank) : world_(world), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return world_.ranks(); }

  std::unique_ptr<CommHandle> all_reduce(std::span<const int> group, DType dtype, Reduction how,
                                         std::span<const std::byte> in, std::span<std::byte> out,
                                         const CommTag& tag) override {
    return collective(group, in, tag, [=](const std::vector<Bytes>& inputs, std::size_t) {
      const Bytes whole = tree(inputs, dtype, how, 0, inputs.size());
      std::memcpy(out.data(), whole.data(), whole.size());
    });
  }

  std::unique_ptr<CommHandle> all_gather(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    return collective(group, in, tag, [=](const std::vector<Bytes>& inputs, std::size_t) {
      for (std::size_t i = 0; i < inputs.size(); ++i)
        std::memcpy(out.data() + i * inputs[i].size(), inputs[i].data(), inputs[i].size());
    });
  }

  std::unique_ptr<CommHandle> all_to_all(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    return collective(group, in, tag, [=](const std::vector<Bytes>& inputs, std::size_t position) {
      const std::size_t piece = out.size() / inputs.size();
      for (std::size_t i = 0; i < inputs.size(); ++i)
        std::memcpy(out.data() + i * piece, inputs[i].data() + position * piece, piece);
    });
  }

  void send(int to, std::span<const std::byte> in, const CommTag&) override {
    world_.hand_in(pair_key(rank_, to, sent_[to]++), 1, 0, in);
  }

  std::unique_ptr<CommHandle> receive(int from, std::span<std::byte> out,
                                      const CommTag& tag) override {
    const auto sequence = received_[from]++;
    const auto key = pair_key(from, rank_, sequence);
    const auto text = describe(tag, sequence, out.size());
    return std::make_unique<Waiting>([this, key, text, out] {
      world_.take(key, 1, 1, text, [&](const std::vector<Bytes>& in) {
        std::memcpy(out.data(), in[0].data(), out.size());
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

  std::string describe(const CommTag& tag, std::uint64_t sequence, std::size_t bytes) const {
    return fmt::format("rank {}: {} number {} of {} bytes ({})", rank_, tag.operation, sequence,
                       bytes, tag.source);
  }

  // ((0 1) (2 3)) ...: the order of sums that DESIGN.md promises.
  static Bytes tree(const std::vector<Bytes>& inputs, DType dtype, Reduction how, std::size_t from,
                    std::size_t to) {
    if (to - from == 1) return inputs[from];
    const std::size_t middle = from + (to - from + 1) / 2;
    Bytes left = tree(inputs, dtype, how, from, middle);
    reduce_into(dtype, how, left, tree(inputs, dtype, how, middle, to));
    return left;
  }

  template <class Finish>
  std::unique_ptr<CommHandle> collective(std::span<const int> group, std::span<const std::byte> in,
                                         const CommTag& tag, Finish finish) {
    std::string key;
    for (int r : group) key += fmt::format("{},", r);
    const auto sequence = sequence_[key]++;
    key += fmt::format("#{}", sequence);
    const auto position = std::size_t(std::find(group.begin(), group.end(), rank_) - group.begin());
    const int members = int(group.size());
    world_.hand_in(key, group.size(), position, in);
    const auto text = describe(tag, sequence, in.size());
    return std::make_unique<Waiting>([this, key, members, position, text, finish] {
      world_.take(key, members, members, text,
                  [&](const std::vector<Bytes>& inputs) { finish(inputs, position); });
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
