// The queues of one rank while its step runs: computation, transfers over data-parallel ranks
// beside it, messages between stages.
#pragma once
#include "sim/block_cost.h"

namespace autarky {

class StageClock {
 public:
  explicit StageClock(const Stack& stack) : stack_(&stack) {}

  double now() const { return now_; }  // of the compute queue
  const Seconds& spent() const { return spent_; }

  // One block, or `times` of it one after the other. Transfers that it begins go on beside what
  // follows; while both run, each is slower by the stack's interference: two fluids that share a
  // pipe.
  void compute(const BlockCost& block);
  // As `compute`, all of it counted as the step's update.
  void update(const BlockCost& block);
  // Begins transfers over data-parallel ranks; a number for `wait_for_data`.
  double transfer(double seconds);
  // Until that transfer is done, or all of them.
  void wait_for_data(double transfer);
  void wait_for_data() { wait_for_data(data_total_); }
  // When the message is at the other stage.
  double send(double seconds);
  // Waits for it.
  void receive(double arrival);
  // Stands still for a message's sake.
  void stop(double seconds);

 private:
  void advance(double seconds);  // of computation alone

  const Stack* stack_;
  double now_ = 0;
  double data_done_ = 0, data_total_ = 0;  // seconds of transfers, alone on the wire
  double message_free_ = 0;
  Seconds spent_;
};

}  // namespace autarky
