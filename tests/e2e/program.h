// Runs the built program as a person or a script would.
#pragma once
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/words.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {

struct Outcome {
  int code = -1;  // the exit code; -1: ended by a signal
  std::string out, err;
};

// Runs `autarky ARGUMENTS` (words of a shell) in `folder`, with `environment` ("A=b ") before it
// and the file `input` as standard input.
inline Outcome run(const ScratchFolder& folder, const std::string& arguments,
                   const std::string& environment = "", const std::string& input = "/dev/null") {
  const auto command = "cd '" + folder.path().string() + "' && " + environment + " '" +
                       AUTARKY_BINARY + "' " + arguments + " >.out 2>.err <" + input;
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(folder / ".out"),
          content_of(folder / ".err")};
}

// The last line of standard output as JSON; the test fails where it is none.
inline nlohmann::json last_json(const Outcome& outcome) {
  auto lines = split(trim(outcome.out), '\n');
  auto json = nlohmann::json::parse(lines.back(), nullptr, false);
  EXPECT_TRUE(json.is_object()) << outcome.out << outcome.err;
  return json;
}

}  // namespace autarky
