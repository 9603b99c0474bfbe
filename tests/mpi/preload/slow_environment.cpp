// Preloaded into ranks: a read of the environment that MPI's start makes on a thread of its own
// takes so long that the rest of the start happens meanwhile.
#include <dlfcn.h>
#include <unistd.h>

#include <cstring>

extern "C" __attribute__((visibility("default"))) char* getenv(const char* name) noexcept {
  using Getenv = char* (*)(const char*);
  static Getenv real = nullptr;
  if (!real) real = reinterpret_cast<Getenv>(dlsym(RTLD_NEXT, "getenv"));
  if (std::strcmp(name, "OMPI_SHOW_MODEL_CALLBACK") != 0) return real(name);
  char** entry = environ;
  usleep(400'000);
  const std::size_t length = std::strlen(name);
  for (; *entry; ++entry)
    if (std::strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
      return *entry + length + 1;
  return nullptr;
}
