// What signals ask of a run.
#pragma once

namespace autarky::cli {

// SIGUSR1 asks to save and go on, from the first call on: batch systems send it to what they
// started. SIGINT and SIGTERM end the process until `training` was called; then the first asks to
// save and end, the second ends at once. Under `autarky launch` SIGUSR1 asks to save and end, and
// several are one.
//
// One thread waits for these signals and all others block them, since no handler may run on a
// thread that multiplies matrices: oneDNN's f32 kernels for AVX-512 point the stack pointer into
// their workspace on the heap, which the handler's frame would write over. So call `listen` before
// other threads start.
namespace requests {

void listen();
void training();
void ask_save();
bool take_save();  // true once for all that asked
bool stop();

}  // namespace requests
}  // namespace autarky::cli
