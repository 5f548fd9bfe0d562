// What a person sees while ksplice-create works: one line per stage on standard error.
#pragma once

#include <chrono>
#include <string>

namespace ksplice {

class Progress {
 public:
  // verbose: also details. On a terminal a stage is shown while it runs.
  Progress(bool quiet, int verbose);
  ~Progress();

  // Ends the stage before and starts the next; text says what is being done.
  void stage(const std::string& text);
  // Adds to the line of the running stage what came out of it: "2 units".
  void result(const std::string& text);
  // Ends the last stage.
  void end();

  void note(const std::string& text);                   // shown unless quiet
  void detail(const std::string& text, int level = 1);  // shown with -v, level times
  double seconds() const;                               // since construction

 private:
  using Clock = std::chrono::steady_clock;
  void clear_line();
  bool quiet_, terminal_;
  int verbose_;
  Clock::time_point begin_, stage_begin_;
  std::string stage_, result_;
};

}  // namespace ksplice
