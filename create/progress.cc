#include "create/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace ksplice {

namespace {

constexpr size_t BarWidth = 24;
constexpr size_t NotesShown = 10;

// Does standard error show lines that can be written over.
bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return ::isatty(2) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

size_t columns() {
  winsize size = {};
  return ::ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string counted(size_t number, const std::string& noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string listed(const std::vector<std::string>& names, size_t limit) {
  size_t shown = names.size() <= limit ? names.size() : limit - 1;
  std::string text;
  for (size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

Progress::Progress(bool quiet, int verbose)
    : quiet_(quiet),
      terminal_(!quiet && is_terminal()),
      verbose_(verbose),
      begin_(Clock::now()),
      stage_begin_(begin_),
      drawn_(begin_) {}

Progress::~Progress() {
  if (!stage_.empty()) result_ = "stopped";
  end();
}

void Progress::clear_line() {
  if (!terminal_ || stage_.empty()) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

double Progress::stage_seconds() const {
  return std::chrono::duration<double>(Clock::now() - stage_begin_).count();
}

void Progress::draw() {
  if (!terminal_ || stage_.empty()) return;
  std::string line = fmt::format("[{:6.1f}s] {}", stage_seconds(), stage_);
  if (expected_ > 1)
    line += fmt::format(" [{:.<{}}] {}/{}", std::string(BarWidth * started_ / expected_, '#'),
                        BarWidth, started_, expected_);
  fmt::print(stderr, "\r\033[K{}", line.substr(0, columns() - 1));
  std::fflush(stderr);
  drawn_ = Clock::now();
}

void Progress::stage(const std::string& text) {
  end();
  stage_ = text;
  stage_begin_ = drawn_ = Clock::now();
  draw();
}

void Progress::expect(size_t objects) {
  expected_ = objects;
  started_ = 0;
  draw();
}

void Progress::make_output(std::string_view text) {
  if (quiet_) return;
  if (verbose_ >= 2 && !text.empty()) {
    clear_line();
    fmt::print(stderr, "{}", text);
  }
  for (char c : text) {
    if (c != '\n') {
      line_ += c;
      continue;
    }
    if (line_.starts_with("  CC ") && started_ < expected_) ++started_;
    line_.clear();
  }
  Clock::duration since = Clock::now() - drawn_;
  if (terminal_) {
    if (since >= std::chrono::milliseconds(100)) draw();
  } else if (expected_ > 1 && since >= std::chrono::minutes(1)) {
    fmt::print(stderr, "[{:6.1f}s] {}: {} of {} begun\n", stage_seconds(), stage_, started_,
               expected_);
    drawn_ = Clock::now();
  }
}

void Progress::result(const std::string& text) { result_ = text; }

void Progress::end() {
  if (!stage_.empty() && !quiet_) {
    clear_line();
    fmt::print(stderr, "[{:6.1f}s] {}{}{}\n", stage_seconds(), stage_, result_.empty() ? "" : ": ",
               result_);
  }
  stage_.clear();
  result_.clear();
  line_.clear();
  expected_ = started_ = 0;
}

void Progress::note(const std::string& text) {
  if (quiet_) return;
  clear_line();
  fmt::print(stderr, "note: {}\n", text);
  draw();
}

void Progress::notes(const std::vector<std::string>& texts) {
  size_t shown = verbose_ > 0 ? texts.size() : std::min(texts.size(), NotesShown);
  for (size_t i = 0; i < shown; ++i) note(texts[i]);
  if (shown < texts.size()) note(fmt::format("and {} more: -v shows them", texts.size() - shown));
}

void Progress::summary(const std::string& head, const std::string& text) {
  if (!quiet_) fmt::print(stderr, "{:<9} {}\n", head, text);
}

void Progress::detail(const std::string& text, int level) {
  if (quiet_ || verbose_ < level || text.empty()) return;
  clear_line();
  fmt::print(stderr, "{}{}", text, text.back() == '\n' ? "" : "\n");
  draw();
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

}  // namespace ksplice
