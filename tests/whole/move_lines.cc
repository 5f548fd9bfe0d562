// move_lines BEFORE AFTER: prints BEFORE with the line numbers of AFTER, as ksplice-create compiles
// it.
#include <cstdio>

#include "create/moved.h"
#include "objdiff/base/error.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: move_lines BEFORE AFTER\n", stderr);
    return ksplice::ExitUsage;
  }
  try {
    std::fputs(ksplice::moved_text(argv[1], argv[2]).c_str(), stdout);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "move_lines: %s\n", error.what());
    return ksplice::ExitFailed;
  }
  return ksplice::ExitDone;
}
