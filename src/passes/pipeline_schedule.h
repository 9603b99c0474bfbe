// The order in which the stages of a pipeline work, by name; see schedule.h.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace autarky {

enum class PipelineSchedule : std::uint8_t {
  gpipe,        // all forwards, then all backwards (Huang et al., 2019)
  one_f_one_b,  // as few micro-batches in flight as there are stages behind (Narayanan et al.,
                // 2019)
  interleaved,  // 1F1B over several chunks of layers in every stage (Narayanan et al., 2021)
  zero_bubble,  // ZB-H1: gradients of weights apart, later, where a stage waited (Qi et al., 2023)
};
// As recipes call them.
inline constexpr std::string_view kPipelineScheduleNames[] = {"gpipe", "1f1b", "interleaved",
                                                              "zero-bubble"};
std::optional<PipelineSchedule> parse_pipeline_schedule(std::string_view name);
std::string_view pipeline_schedule_name(PipelineSchedule schedule);

}  // namespace autarky
