#include "sim/stage_clock.h"

#include <algorithm>

namespace autarky {

void StageClock::advance(double seconds) {
  const double both = std::min(seconds, data_total_ - data_done_);
  const double lost = both * stack_->interference;
  now_ += seconds + lost;
  spent_[Part::data] += lost;
  data_done_ += both;
}

void StageClock::compute(const BlockCost& block) {
  advance(block.seconds.total());
  spent_ += block.seconds;
  if (block.data_s == 0) return;
  transfer(block.data_s);
  if (!stack_->overlap_gradients) wait_for_data();
}

void StageClock::update(const BlockCost& block) {
  const double seconds = block.seconds.total();
  advance(seconds);
  spent_[Part::update] += seconds;
}

double StageClock::transfer(double seconds) { return data_total_ += seconds; }

void StageClock::wait_for_data(double transfer) {
  const double rest = transfer - data_done_;
  if (rest <= 0) return;
  now_ += rest;
  spent_[Part::data] += rest;
  data_done_ = transfer;
}

double StageClock::send(double seconds) {
  message_free_ = std::max(message_free_, now_) + seconds;
  if (!stack_->overlap_messages) {
    spent_[Part::messages] += message_free_ - now_;
    now_ = message_free_;
  }
  return message_free_;
}

void StageClock::receive(double arrival) {
  if (arrival <= now_) return;
  spent_[Part::bubble] += arrival - now_;
  // Transfers go on meanwhile.
  data_done_ = std::min(data_total_, data_done_ + arrival - now_);
  now_ = arrival;
}

void StageClock::stop(double seconds) {
  now_ += seconds;
  spent_[Part::messages] += seconds;
}

}  // namespace autarky
