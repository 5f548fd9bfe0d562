#include "create/progress.h"

#include <fmt/core.h>
#include <unistd.h>

namespace ksplice {

Progress::Progress(bool quiet, int verbose)
    : quiet_(quiet),
      terminal_(!quiet && ::isatty(2) == 1),
      verbose_(verbose),
      begin_(Clock::now()),
      stage_begin_(begin_) {}

Progress::~Progress() { clear_line(); }

void Progress::clear_line() {
  if (terminal_ && !stage_.empty()) fmt::print(stderr, "\r\033[K");
}

void Progress::stage(const std::string& text) {
  end();
  stage_ = text;
  stage_begin_ = Clock::now();
  if (terminal_) {
    fmt::print(stderr, "[  ...  ] {}", stage_);
    std::fflush(stderr);
  }
}

void Progress::result(const std::string& text) { result_ = text; }

void Progress::end() {
  if (!stage_.empty() && !quiet_) {
    clear_line();
    std::chrono::duration<double> took = Clock::now() - stage_begin_;
    fmt::print(stderr, "[{:6.1f}s] {}{}{}\n", took.count(), stage_, result_.empty() ? "" : ": ",
               result_);
  }
  stage_.clear();
  result_.clear();
}

void Progress::note(const std::string& text) {
  if (quiet_) return;
  clear_line();
  fmt::print(stderr, "note: {}\n", text);
}

void Progress::detail(const std::string& text, int level) {
  if (quiet_ || verbose_ < level) return;
  clear_line();
  fmt::print(stderr, "{}\n", text);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

}  // namespace ksplice
