// The one exception class of the toolkit, and the one verdict type.
//
// The room base/: errors and their stable codes (codes.h), checked bytes, files, processes, and the
// edge of every program (tool.h). In: what the operating system gives. Out: values, or an Error
// that names what was wrong. Everything else stands on it, the programs on the host too; it knows
// no ELF and no kernel.
//
// Error: something could not be done (a file is unreadable, an object is malformed). Caught once,
// in run_tool. Refusal: the input was understood and must not be turned into an update; data, not
// an exception.
#pragma once

#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ksplice {

// The exit codes of every tool; also in the man pages.
enum ExitCode { ExitDone = 0, ExitFailed = 1, ExitUsage = 2, ExitRefused = 3 };

// A part of a patch, as it stands there.
struct Origin {
  std::string patch, file;
  std::string hunk;  // "@@ -7,6 +7,8 @@"; empty: all that the patch does to the file
  bool operator==(const Origin&) const = default;
};

// Where something is declared; not known if line is 0.
struct Declaration {
  std::string file;
  unsigned line = 0;
};

// code: a stable word from codes.h (D12), e.g. "no_match"; "failed" where no class exists.
// hint: what a person can do next, or empty.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, std::string hint = "",
        std::source_location where = std::source_location::current())
      : std::runtime_error(message), code(std::move(code)), hint(std::move(hint)), where(where) {}
  std::string code;
  std::string hint;
  std::source_location where;
  std::vector<Origin> origins;  // what of a patch it comes from, if that is known
};

struct Refusal {
  std::string code;    // stable word, listed in objdiff/base/codes.h
  std::string object;  // file or target the finding is in
  std::string section;
  std::string symbol;    // function or variable
  uint64_t offset = 0;   // in the symbol, or in the section when symbol is empty
  std::string message;   // lower-case sentence without a final stop
  std::string expected;  // evidence; may be several lines
  std::string found;
  std::string advice;    // what to do next
  std::string option;    // "--not-live": that of create by which its user takes it on, if one does
  Declaration declared;  // what it is about, after the change
  std::vector<Origin> origins;  // what of a patch it comes from, if that is known
  std::string follows;          // "CODE of SYMBOL": nothing but that refusal is known to cause it
};

// Thrown when a tool ends because of refusals: exit code 3, all of them printed.
class Refused : public Error {
 public:
  explicit Refused(std::vector<Refusal> list)
      : Error(list.empty() ? "refused" : list.front().code,
              list.empty() ? "refused" : list.front().message,
              list.empty() ? "" : list.front().advice),
        refusals(std::move(list)) {}
  std::vector<Refusal> refusals;
  std::string raw;  // lines that --raw-errors prints after the code
};

}  // namespace ksplice
