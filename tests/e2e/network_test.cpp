// Two machines on one: network namespaces with host names of their own, joined by a cable that can
// be cut. mpirun reaches the other one by a script in the place of ssh.
#include <unistd.h>

#include "e2e/tiny_run.h"
#include "mpi/processes.h"

namespace autarky {
namespace {

class TwoMachines : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!command("ip netns add " + a_ + " && ip netns add " + b_ + " && ip link add " + cable_ +
                 "a netns " + a_ + " type veth peer name " + cable_ + "b netns " + b_))
      GTEST_SKIP() << "no network namespaces can be made here";
    for (const auto& [name, side, address] :
         {std::tuple{a_, "a", kFirst}, std::tuple{b_, "b", kSecond}})
      ASSERT_TRUE(command("ip -n " + name + " addr add " + address + "/24 dev " + cable_ + side +
                          " && ip -n " + name + " link set lo up && ip -n " + name + " link set " +
                          cable_ + side + " up"));
    const auto agent = folder_.write("agent", "#!/bin/sh\nshift\nexec ip netns exec " + b_ +
                                                  " unshare --uts sh -c 'hostname machine-b; exec "
                                                  "sh -c \"$*\"' sh \"$@\"\n");
    fs::permissions(agent, fs::perms::owner_all);
    make_tiny_run(folder_);
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // MPI keeps memory until a process ends
    ::setenv("OMPI_MCA_plm_rsh_agent", agent.c_str(), 1);
  }
  void TearDown() override {
    // mpirun's daemon on the other machine goes when its connection has timed out.
    for (const auto& name : {a_, b_})
      command("ip netns pids " + name + " | xargs -r kill -9; ip netns del " + name);
    ::unsetenv("OMPI_MCA_plm_rsh_agent");
  }
  static bool command(const std::string& words) {
    return std::system(("{ " + words + "; } >/dev/null 2>&1").c_str()) == 0;
  }
  bool cable(const char* state) const {
    return command("ip -n " + a_ + " link set " + cable_ + "a " + state);
  }
  std::string on_first() const {
    return "ip netns exec " + a_ + " unshare --uts sh -c 'hostname machine-a; exec \"$@\"' sh";
  }
  static std::string launch(const std::string& more) {
    return std::string("launch -n 2 --threads 1 --hosts ") + kFirst + ":1," + kSecond +
           ":1 -- train recipe.yaml --logging.run_dir=far " + kSteps +
           "--parallel.data_parallel_size=2 --parallel.deadline=3 " + more;
  }

  static constexpr const char* kFirst = "10.213.7.1";
  static constexpr const char* kSecond = "10.213.7.2";
  static inline const std::string kSteps =
      "--schedule.kind=constant --train.eval_every=0 --parallel.lanes=2 --checkpoint.every=2 ";
  const std::string cable_ = "v" + std::to_string(::getpid());
  const std::string a_ = "autarky-" + cable_ + "-a", b_ = "autarky-" + cable_ + "-b";
  ScratchFolder folder_;
};

TEST_F(TwoMachines, ACutCableEndsTheRunOnBothAndItGoesOnWhenItIsWhole) {
  Running program(folder_, launch("--train.steps=100000"), on_first());
  ASSERT_TRUE(program.wait_for_lines("far", 10)) << program.wait().err;
  ASSERT_TRUE(cable("down"));
  const auto outcome = program.wait();
  EXPECT_NE(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "did not complete within 3000 ms")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "mpirun waited for another machine")) << outcome.err;
  EXPECT_TRUE(all_gone("--logging.run_dir=far"));
  ASSERT_TRUE(cable("up"));
  const auto steps = "--train.steps=" + std::to_string(metrics_of(folder_, "far").size() + 5);
  const auto rest = run(folder_, launch("--resume " + steps), on_first());
  EXPECT_EQ(rest.code, 0) << rest.err;
  ASSERT_EQ(train(folder_, "one", kSteps + steps).code, 0);
  EXPECT_EQ(timeless_metrics(folder_, "far"), timeless_metrics(folder_, "one"));
}

}  // namespace
}  // namespace autarky
