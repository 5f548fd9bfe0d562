// Compiles small sources for tests with the real compiler.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice::test {

// As the kernel compiles a unit, with ftrace sites.
inline const std::vector<std::string> TracedFlags = {"-O2",
                                                     "-mcmodel=kernel",
                                                     "-fno-pic",
                                                     "-mno-sse",
                                                     "-pg",
                                                     "-mfentry",
                                                     "-mrecord-mcount",
                                                     "-fno-stack-protector",
                                                     "-fcf-protection=none",
                                                     "-fno-asynchronous-unwind-tables"};

// Runs the compiler in a temporary folder of the test; fails the test if that fails.
class Workshop {
 public:
  std::string file(const std::string& name) const { return (dir_.path() / name).string(); }

  std::string write(const std::string& name, const std::string& text) const {
    write_file(dir_.path() / name, text);
    return file(name);
  }

  void run(const std::vector<std::string>& argv) const {
    CommandResult result = run_command(argv);
    ASSERT_EQ(result.status, 0) << argv[0] << ": " << result.output;
  }

  // Compiles source text to name.o (the suffix of name says the language); returns its path.
  std::string compile(const std::string& name, const std::string& text,
                      const std::vector<std::string>& flags = {}) const {
    std::vector<std::string> argv = {KSPLICE_TEST_CC, "-c", write(name, text), "-o",
                                     file(name + ".o")};
    argv.insert(argv.end(), flags.begin(), flags.end());
    run(argv);
    return file(name + ".o");
  }

 private:
  TempDir dir_;
};

}  // namespace ksplice::test
