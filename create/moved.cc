// Which number a line gets cannot make a real change disappear: whatever the directives say, the
// code of the result is the original's. A number that is not the patched source's only makes a
// function look changed that is not. The one thing to take care of is that a directive is one, and
// changes nothing else. It stands at the begin of a line, and not
//   - in a line that continues another one with a backslash (a macro's definition, a text);
//   - in a comment;
//   - before a line that begins with "(": between a macro's name and its arguments it would make
//   the
//     name an ordinary word.
// There it waits for the next line. In the arguments of a macro it does what it does elsewhere (gcc
// and clang; the macro itself has the line of its name with gcc, and of its last bracket with
// clang). In what #if leaves out it does nothing, so it is said again behind #else, #elif and
// #endif.
//
// Example: two lines come in above line 40 of a file, and line 50 is deleted:
//   ...             line 39
//   #line 42
//   ...             lines 40 to 50, as 42 to 52
//   #line 52
//   ...             line 51
//
// Lines that the patch replaces get the numbers of their successors: by equal text without white
// space, else by the most alike one, else in order.

#include "create/moved.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <sstream>
#include <string_view>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// Assembly is left as it is: a "#" may be a comment there.
bool is_c(const std::string& path) {
  for (const char* suffix : {".c", ".h", ".inc", ".inl", ".cinc"})
    if (path.ends_with(suffix)) return true;
  return false;
}

// With their ends.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

std::string without_space(std::string_view line) {
  std::string result;
  std::copy_if(line.begin(), line.end(), std::back_inserter(result),
               [](unsigned char c) { return std::isspace(c) == 0; });
  return result;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// What the preprocessor makes of a text, line by line.
struct Layout {
  std::vector<bool> may_stand;  // a directive, before the line
  std::vector<bool> rejoins;    // the line is #else, #elif or #endif
  bool is_numbered = false;     // it has #line of its own, or is not understood (raw strings)
};

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Layout run() {
    begin_line(false);
    while (at_ < text_.size()) step();
    return std::move(layout_);
  }

 private:
  void begin_line(bool continued) {
    const bool allowed = !continued && !in_comment_;
    layout_.may_stand.push_back(allowed);
    layout_.rejoins.push_back(false);
    if (allowed) undecided_.push_back(layout_.may_stand.size() - 1);
    if (allowed) at_start_ = true;
  }

  // Where the next line begins if a backslash here joins it to this one, else 0.
  size_t continuation() const {
    if (text_[at_] != '\\') return 0;
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '\n' &&
           std::isspace(static_cast<unsigned char>(text_[end])) != 0)
      ++end;
    return end < text_.size() && text_[end] == '\n' ? end + 1 : 0;
  }

  bool starts(std::string_view word) const { return text_.substr(at_).starts_with(word); }

  void step() {
    if (const size_t end = continuation(); end != 0) {
      at_ = end;
      begin_line(true);
      return;
    }
    const char c = text_[at_];
    if (c == '\n') {
      quote_ = 0;
      in_line_comment_ = false;
      ++at_;
      begin_line(false);
    } else if (in_comment_) {
      in_comment_ = !starts("*/");
      at_ += in_comment_ ? 1 : 2;
    } else if (in_line_comment_) {
      ++at_;
    } else if (quote_ != 0) {
      if (c == quote_) quote_ = 0;
      ++at_;
      const bool escapes = c == '\\' && at_ < text_.size() && text_[at_] != '\n';
      if (escapes && continuation() == 0) ++at_;
    } else if (starts("/*")) {
      in_comment_ = true;
      at_ += 2;
    } else if (starts("//")) {
      in_line_comment_ = true;
      at_ += 2;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++at_;
    } else {
      token(c);
    }
  }

  void token(char c) {
    for (size_t line : undecided_) layout_.may_stand[line] = c != '(';
    undecided_.clear();
    if (c == '#' && at_start_) directive();
    at_start_ = false;
    if (!is_word(c)) {
      if (c == '"' || c == '\'') quote_ = c;
      ++at_;
      return;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (at_ < text_.size() && text_[at_] == '"')
      for (std::string_view raw : {"R", "LR", "uR", "UR", "u8R"})
        if (word == raw) layout_.is_numbered = true;
  }

  void directive() {
    size_t begin = at_ + 1;
    while (begin < text_.size() && (text_[begin] == ' ' || text_[begin] == '\t')) ++begin;
    size_t end = begin;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const std::string_view word = text_.substr(begin, end - begin);
    if (word == "line" || (!word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) != 0))
      layout_.is_numbered = true;
    if (word.starts_with("el") || word == "endif") layout_.rejoins.back() = true;
  }

  std::string_view text_;
  size_t at_ = 0;
  char quote_ = 0;
  bool in_comment_ = false, in_line_comment_ = false;
  bool at_start_ = true;           // nothing but space and comments in this line so far
  std::vector<size_t> undecided_;  // lines whose first token has not been seen
  Layout layout_;
};

// Lines [old_begin, old_end) were replaced by [new_begin, new_end), counted from 0.
struct Hunk {
  size_t old_begin, old_end, new_begin, new_end;
};

std::vector<Hunk> find_hunks(const fs::path& before, const fs::path& after) {
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}};
  const CommandResult run =
      run_command({"diff", "-a", "--", before.string(), after.string()}, options);
  if (run.status > 1) throw Error("failed", fmt::format("diff failed: {}", run.output));
  std::vector<Hunk> hunks;
  std::istringstream stream(run.output);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || std::isdigit(static_cast<unsigned char>(line[0])) == 0) continue;
    const size_t kind = line.find_first_of("acd");  // "12,14c15", "7a9,10", "3d2"
    if (kind == line.npos) throw Error("failed", fmt::format("diff said: {}", line));
    auto range = [](const std::string& text, bool none, size_t& begin, size_t& end) {
      const size_t comma = text.find(',');
      begin = std::stoul(text);
      end = comma == text.npos ? begin : std::stoul(text.substr(comma + 1));
      if (!none) --begin;
    };
    Hunk hunk = {};
    range(line.substr(0, kind), line[kind] == 'a', hunk.old_begin, hunk.old_end);
    range(line.substr(kind + 1), line[kind] == 'd', hunk.new_begin, hunk.new_end);
    hunks.push_back(hunk);
  }
  return hunks;
}

// Numbers for replaced lines; 0 where any will do.
class Replaced {
 public:
  Replaced(const std::vector<std::string_view>& before, const std::vector<std::string_view>& after,
           std::vector<size_t>& numbers)
      : before_(before), after_(after), numbers_(numbers) {}

  void number(const Hunk& hunk) {
    pair(hunk, equality, [&](const Hunk& other) {
      if (!number_broken(other)) pair(other, likeness, [&](const Hunk& rest) { in_order(rest); });
    });
  }

 private:
  // Of two lines without white space: how good it is to pair them; 0: not at all.
  using Score = size_t (*)(std::string_view, std::string_view);

  static size_t equality(std::string_view a, std::string_view b) { return !a.empty() && a == b; }

  // How much they have in common at their begin and end, if that is more than half of each.
  static size_t likeness(std::string_view a, std::string_view b) {
    const size_t most = std::min(a.size(), b.size());
    size_t head = 0, tail = 0;
    while (head < most && a[head] == b[head]) ++head;
    while (tail < most - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
    return 2 * (head + tail) > std::max(a.size(), b.size()) ? head + tail : 0;
  }

  // Numbers the lines that belong together, and calls other for what lies between them.
  void pair(const Hunk& hunk, Score score, const std::function<void(const Hunk&)>& other) {
    size_t old_done = hunk.old_begin, new_done = hunk.new_begin;
    for (const auto& [old_line, new_line] : best_pairs(hunk, score)) {
      other({old_done, old_line, new_done, new_line});
      numbers_[old_line] = new_line + 1;
      old_done = old_line + 1, new_done = new_line + 1;
    }
    other({old_done, hunk.old_end, new_done, hunk.new_end});
  }

  // The pairs, in the order of both, whose scores have the largest sum.
  std::vector<std::pair<size_t, size_t>> best_pairs(const Hunk& hunk, Score score) const {
    constexpr size_t MaxCells = 4'000'000;
    const size_t rows = hunk.old_end - hunk.old_begin, columns = hunk.new_end - hunk.new_begin;
    if (rows == 0 || columns == 0 || rows > MaxCells / columns) return {};
    std::vector<std::string> left, right;
    for (size_t i = 0; i < rows; ++i) left.push_back(without_space(before_[hunk.old_begin + i]));
    for (size_t i = 0; i < columns; ++i) right.push_back(without_space(after_[hunk.new_begin + i]));
    std::vector<size_t> best((rows + 1) * (columns + 1));
    auto cell = [&](size_t i, size_t j) -> size_t& { return best[i * (columns + 1) + j]; };
    auto paired = [&](size_t i, size_t j) {
      const size_t value = score(left[i], right[j]);
      return value == 0 ? 0 : value + cell(i + 1, j + 1);
    };
    for (size_t i = rows; i-- > 0;)
      for (size_t j = columns; j-- > 0;)
        cell(i, j) = std::max({paired(i, j), cell(i + 1, j), cell(i, j + 1)});
    std::vector<std::pair<size_t, size_t>> pairs;
    for (size_t i = 0, j = 0; i < rows && j < columns;) {
      if (cell(i, j) != 0 && cell(i, j) == paired(i, j))
        pairs.emplace_back(hunk.old_begin + i++, hunk.new_begin + j++);
      else
        (cell(i + 1, j) >= cell(i, j + 1) ? i : j)++;
    }
    return pairs;
  }

  // Of a text that is only broken into lines in another way, each line's first character says where
  // it is now.
  bool number_broken(const Hunk& hunk) {
    std::string old_text, new_text;
    std::vector<size_t> line_of;  // of each character of new_text
    for (size_t i = hunk.new_begin; i < hunk.new_end; ++i) {
      new_text += without_space(after_[i]);
      line_of.resize(new_text.size(), i);
    }
    std::vector<size_t> first;
    for (size_t i = hunk.old_begin; i < hunk.old_end; ++i) {
      first.push_back(old_text.size());
      old_text += without_space(before_[i]);
    }
    if (old_text != new_text) return false;
    for (size_t i = 0; i < first.size(); ++i)
      if (first[i] < line_of.size()) numbers_[hunk.old_begin + i] = line_of[first[i]] + 1;
    return true;
  }

  void in_order(const Hunk& hunk) {
    for (size_t i = 0; hunk.old_begin + i < hunk.old_end && hunk.new_begin + i < hunk.new_end; ++i)
      numbers_[hunk.old_begin + i] = hunk.new_begin + i + 1;
  }

  const std::vector<std::string_view>& before_;
  const std::vector<std::string_view>& after_;
  std::vector<size_t>& numbers_;
};

// For each line of before its number in after; 0 where any will do.
std::vector<size_t> new_numbers(const std::vector<std::string_view>& before,
                                const std::vector<std::string_view>& after,
                                const std::vector<Hunk>& hunks) {
  std::vector<size_t> numbers(before.size());
  size_t old_line = 0, new_line = 0;
  auto keep_until = [&](size_t end) {
    for (; old_line < end; ++old_line, ++new_line) {
      if (old_line >= before.size() || new_line >= after.size() ||
          before[old_line] != after[new_line])
        throw Error("internal", fmt::format("diff took line {} for one that stays", old_line + 1));
      numbers[old_line] = new_line + 1;
    }
  };
  Replaced replaced(before, after, numbers);
  for (const Hunk& hunk : hunks) {
    keep_until(hunk.old_begin);
    replaced.number(hunk);
    old_line = hunk.old_end, new_line = hunk.new_end;
  }
  keep_until(before.size());
  return numbers;
}

}  // namespace

std::string moved_text(const fs::path& before, const fs::path& after, const std::string& name,
                       std::vector<size_t>* all_numbers) {
  const std::string old_text = read_text(before), new_text = read_text(after);
  const Layout layout = Scanner(old_text).run();
  if (layout.is_numbered || Scanner(new_text).run().is_numbered) return old_text;
  const std::vector<std::string_view> lines = split(old_text);
  const std::vector<size_t> numbers =
      new_numbers(lines, split(new_text), find_hunks(before, after));
  if (all_numbers != nullptr) *all_numbers = numbers;
  std::string result;
  if (!name.empty()) result = fmt::format("#line 1 \"{}\"\n", name);
  size_t current = 1;  // what the preprocessor counts
  bool numbered = false, uncertain = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool wrong = numbers[i] != 0 && (uncertain || numbers[i] != current);
    if (wrong && layout.may_stand[i]) {
      result += fmt::format("#line {}\n", numbers[i]);
      current = numbers[i];
      numbered = true;
      uncertain = false;
    }
    result += lines[i];
    ++current;
    uncertain = uncertain || (numbered && layout.rejoins[i]);
  }
  return result;
}

std::vector<MovedFile> make_moved(const std::vector<FileChange>& changes, const fs::path& source,
                                  const fs::path& folder, const std::string& root) {
  std::vector<MovedFile> files;
  for (const FileChange& change : changes) {
    const bool renamed = change.kind == ChangeKind::Renamed;
    if (change.kind != ChangeKind::Modified && !renamed) continue;
    if (!is_c(change.old_path)) continue;
    std::vector<size_t> numbers;
    const std::string text = moved_text(source / change.old_path, change.content,
                                        renamed ? root + change.path : "", &numbers);
    if (text == read_text(source / change.old_path)) continue;
    const fs::path content = folder / change.old_path;
    fs::create_directories(content.parent_path());
    write_file(content, text);
    files.push_back({change.old_path, content, std::move(numbers)});
  }
  return files;
}

}  // namespace ksplice
