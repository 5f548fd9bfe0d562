// What a person sees while ksplice-create works: one line per stage on standard error.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace ksplice {

class Progress {
 public:
  // verbose: 1 also details, 2 also all output of make. On a terminal the line of a stage is there
  // while it runs, with the time so far.
  Progress(bool quiet, int verbose);
  ~Progress();

  // Ends the stage before and starts the next; text says what is being done.
  void stage(const std::string& text);
  // The running stage compiles so many objects: shown as a bar on a terminal, elsewhere as a line
  // a minute. make_output moves it.
  void expect(size_t objects);
  // A piece of make's output, or nothing, from time to time.
  void make_output(std::string_view text);
  // Adds to the line of the running stage what came out of it: "2 units".
  void result(const std::string& text);
  // Ends the last stage.
  void end();

  void note(const std::string& text);                 // shown unless quiet
  void notes(const std::vector<std::string>& texts);  // the first ten, all of them with -v
  void summary(const std::string& head, const std::string& text);  // "replaces  1 function"
  void detail(const std::string& text, int level = 1);             // shown with -v, level times
  int verbose() const { return verbose_; }
  bool quiet() const { return quiet_; }
  double seconds() const;  // since construction

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  void clear_line();
  double stage_seconds() const;

  bool quiet_, terminal_;
  int verbose_;
  Clock::time_point begin_, stage_begin_, drawn_;
  std::string stage_, result_, line_;
  size_t expected_ = 0, started_ = 0;
};

// "1 unit", "2 units".
std::string counted(size_t number, const std::string& noun);

// "a, b, c", or "a, b and 7 more" of more than limit names.
std::string listed(const std::vector<std::string>& names, size_t limit);

}  // namespace ksplice
