// A program that runs on behalf of this one, and ends with it.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace autarky {

using Environment = std::vector<std::pair<std::string, std::string>>;  // added to this process'

// SIGINT, SIGTERM and SIGHUP reach the child as they are, or all as SIGUSR1: mpirun hands that on
// to its ranks and goes on, where it would kill them on the others. It may lose one while it starts
// them, so the first is sent every second until it has worked: the child must take several for one.
// The second sends SIGTERM, the third kills.
enum class SignalsAs { they_are, user_signal };

struct Ended {
  int code = 0;            // 128 + the signal, where a signal ended it
  bool by_signal = false;  // it ended so itself; mpirun's code may say it of a rank
  bool asked = false;      // a signal came to this process
  bool hung = false;       // it was killed for it
};

// Meanwhile.
struct Watch {
  std::function<void()> user_signal = [] {};           // on SIGUSR1 to this process
  std::function<bool()> hangs = [] { return false; };  // each second; true: the child is killed
};

// Runs `command` (a path and its arguments), with nothing on its standard input, to its end. If
// this process is killed, the child gets SIGTERM. Error if it cannot be started.
Ended run_child(const std::vector<std::string>& command, const Environment& environment,
                SignalsAs signals, const Watch& watch = {});

}  // namespace autarky
