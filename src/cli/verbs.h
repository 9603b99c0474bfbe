// The verbs of the program; each in a file of its own name.
#pragma once

namespace autarky::cli {

class Command;

void run_doctor(Command& command);
void run_tokenizer_train(Command& command);
void run_data_build(Command& command);
void run_data_inspect(Command& command);
void run_train(Command& command);
void run_launch(Command& command);
void run_diff(Command& command);
void run_replay(Command& command);
void run_generate(Command& command);
void run_eval(Command& command);
void run_score(Command& command);
void run_convert(Command& command);
void run_bench_train(Command& command);
void run_plan(Command& command);
void run_chip_list(Command& command);
void run_chip_show(Command& command);
void run_chip_bench(Command& command);

}  // namespace autarky::cli
