// Runs a fuzz target once over every file given, for compilers without libFuzzer.
#include <cstdint>
#include <cstdio>

#include "objdiff/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::vector<uint8_t> input = ksplice::read_file(argv[i]);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%d inputs\n", argc - 1);
  return argc > 1 ? 0 : 1;
}
