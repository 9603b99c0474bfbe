#include "comm/local/local_comm.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/error.h"

namespace autarky {
namespace {

using std::chrono::milliseconds;
const CommTag kTag = {"all_reduce tp", "decoder.cpp:57"};

std::vector<int> everyone(const Comm& comm) {
  std::vector<int> group(std::size_t(comm.size()));
  std::iota(group.begin(), group.end(), 0);
  return group;
}

// What every rank holds after reducing one f32 of each.
std::vector<float> reduced(const std::vector<float>& values, Reduction how) {
  std::vector<float> results(values.size());
  run_local_ranks(int(values.size()), [&](Comm& comm) {
    const auto group = everyone(comm);
    const auto rank = std::size_t(comm.rank());
    comm.all_reduce(group, DType::f32, how, std::as_bytes(std::span(&values[rank], 1)),
                    std::as_writable_bytes(std::span(&results[rank], 1)), kTag)
        ->wait();
  });
  return results;
}

// 1e8 + 1 is 1e8 in f32, so the order of additions shows in the sum.
TEST(LocalComm, AddsByAFixedTreeOverThePositions) {
  // (1e8 + 1) + (-1e8 + 1), not ((1e8 + 1) - 1e8) + 1.
  EXPECT_EQ(reduced({1e8f, 1, -1e8f, 1}, Reduction::sum), std::vector<float>(4, 0));
  EXPECT_EQ(reduced({1e8f, -1e8f, 1, 1}, Reduction::sum), std::vector<float>(4, 2));
  // Three: (a + b) + c.
  EXPECT_EQ(reduced({1e8f, 1, -1e8f}, Reduction::sum), std::vector<float>(3, 0));
  EXPECT_EQ(reduced({1e8f, -1e8f, 1}, Reduction::sum), std::vector<float>(3, 1));
}

TEST(LocalComm, ReducesByMaximumAndLogSumExp) {
  EXPECT_EQ(reduced({-3, 7, 2}, Reduction::max), std::vector<float>(3, 7));
  for (float x : reduced({std::log(1.0f), std::log(3.0f)}, Reduction::log_sum_exp))
    EXPECT_NEAR(x, std::log(4.0f), 1e-6);
}

TEST(LocalComm, GathersAndExchangesInRankOrder) {
  run_local_ranks(3, [](Comm& comm) {
    const auto group = everyone(comm);
    const std::int32_t mine[3] = {10 * comm.rank(), 10 * comm.rank() + 1, 10 * comm.rank() + 2};
    std::int32_t all[3], pieces[3];
    const auto gathered = comm.all_gather(group, std::as_bytes(std::span(mine, 1)),
                                          std::as_writable_bytes(std::span(all)), kTag);
    comm.all_to_all(group, std::as_bytes(std::span(mine)),
                    std::as_writable_bytes(std::span(pieces)), kTag)
        ->wait();
    gathered->wait();  // in any order
    for (int r = 0; r < 3; ++r) {
      EXPECT_EQ(all[r], 10 * r);
      EXPECT_EQ(pieces[r], 10 * r + comm.rank());
    }
  });
}

TEST(LocalComm, MessagesBetweenTwoRanksKeepTheirOrder) {
  run_local_ranks(2, [](Comm& comm) {
    for (std::int32_t i = 0; i < 5; ++i) {
      std::int32_t value = i;
      const auto bytes = std::as_writable_bytes(std::span(&value, 1));
      if (comm.rank() == 0) comm.send(1, bytes, kTag)->wait();
      else comm.receive(0, bytes, kTag)->wait();
      EXPECT_EQ(value, i);
    }
  });
}

TEST(LocalComm, AMissedDeadlineSaysWhoWaitedForWhat) {
  std::string message;
  try {
    run_local_ranks(
        2,
        [](Comm& comm) {
          if (comm.rank() == 1) return;  // takes no part
          const double in[2] = {1, 2};
          double out[2];
          comm.all_reduce(everyone(comm), DType::f64, Reduction::sum, std::as_bytes(std::span(in)),
                          std::as_writable_bytes(std::span(out)), kTag)
              ->wait();
        },
        milliseconds(30));
  } catch (const Error& error) {
    message = error.what();
  }
  for (const char* part : {"rank 0", "all_reduce tp", "number 0", "16 bytes", "decoder.cpp:57",
                           "30 ms", "1 of 2 ranks", "missing: rank 1"})
    EXPECT_NE(message.find(part), std::string::npos) << part << ": " << message;
}

TEST(LocalComm, DifferentNumbersOfBytesAreAnError) {
  std::string message;
  try {
    run_local_ranks(2, [](Comm& comm) {
      const std::vector<float> in(std::size_t(1 + comm.rank()));
      std::vector<float> out(in.size());
      comm.all_reduce(everyone(comm), DType::f32, Reduction::sum, std::as_bytes(std::span(in)),
                      std::as_writable_bytes(std::span(out)), kTag)
          ->wait();
    });
  } catch (const Error& error) {
    message = error.what();
  }
  for (const char* part : {"all_reduce tp", "4 bytes", "8 bytes", "decoder.cpp:57"})
    EXPECT_NE(message.find(part), std::string::npos) << part << ": " << message;
}

TEST(LocalCommDeathTest, ASourceThatChangesBeforeTheWaitIsFound) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto change = [] {
    const auto comm = single_rank();
    const std::vector<int> group{0};
    float x = 1, y = 0;
    const auto handle =
        comm->all_reduce(group, DType::f32, Reduction::sum, std::as_bytes(std::span(&x, 1)),
                         std::as_writable_bytes(std::span(&y, 1)), kTag);
    x = 2;
    handle->wait();
  };
  EXPECT_DEATH(change(), "a source changed before");
}

TEST(LocalComm, ARankThatGivesUpEndsTheOthers) {
  const auto start = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::vector<std::string> messages;
  const auto body = [&](Comm& comm) {
    if (comm.rank() == 2) throw Error("the disk is on fire");
    float x = 1, y = 0;
    const auto handle =
        comm.all_reduce(everyone(comm), DType::f32, Reduction::sum, std::as_bytes(std::span(&x, 1)),
                        std::as_writable_bytes(std::span(&y, 1)), kTag);
    try {
      handle->wait();
    } catch (const Error& error) {
      const std::lock_guard lock(mutex);
      messages.emplace_back(error.what());
      throw;
    }
  };
  std::string first;
  try {
    run_local_ranks(3, body);
  } catch (const Error& error) {
    first = error.what();
  }
  EXPECT_EQ(first, "the disk is on fire");
  ASSERT_EQ(messages.size(), 2u);
  for (const auto& message : messages)
    EXPECT_NE(message.find("rank 2: the disk is on fire"), std::string::npos) << message;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace autarky
