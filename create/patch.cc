// Reading diffs. Only what is needed to know which files a patch names: patch(1) applies hunks.
//
// A line "--- x" inside a hunk is text that is taken away ("-- x" with a minus before it), not a
// header, so hunks are skipped by the line counts of their "@@ -a,b +c,d @@".

#include "create/patch.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.push_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

// git quotes names with unusual bytes like C strings: "a/\303\244.c".
std::string unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::string(text);
  size_t end = text.find_last_of('"');
  std::string result;
  for (size_t i = 1; i < end; ++i) {
    if (text[i] != '\\' || i + 1 >= end) {
      result += text[i];
      continue;
    }
    char c = text[++i];
    if (c >= '0' && c <= '7' && i + 2 < end) {
      result += static_cast<char>((c - '0') * 64 + (text[i + 1] - '0') * 8 + (text[i + 2] - '0'));
      i += 2;
    } else {
      result += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return result;
}

// The name in a "--- " or "+++ " line: up to a tab, or to a date that follows a space.
std::string header_name(std::string_view line) {
  line.remove_prefix(4);
  if (!line.empty() && line.front() == '"') return unquote(line);
  line = line.substr(0, line.find('\t'));
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  return std::string(line);
}

class Parser {
 public:
  Parser(std::string_view text, unsigned strip, std::string name)
      : lines_(split_lines(text)), strip_(strip), name_(std::move(name)) {}

  void run(Patch& patch) {
    while (at_ < lines_.size()) {
      std::string_view line = lines_[at_];
      if (starts_with(line, "diff --git ")) {
        read_git_section(patch);
      } else if (is_file_header(at_)) {
        read_hunks(patch.files.emplace_back());
      } else if (starts_with(line, "*** ") && at_ + 1 < lines_.size() &&
                 starts_with(lines_[at_ + 1], "--- ")) {
        fail("is a context diff", "make it with diff -u");
      } else if (starts_with(line, "Binary files ")) {
        fail("changes a binary file", "leave that file out");
      } else {
        if (patch.subject.empty() && patch.files.empty() && starts_with(line, "Subject: "))
          patch.subject = read_subject();
        ++at_;
      }
    }
    if (patch.files.empty()) fail("has no diff in it", "give a unified diff");
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
    throw Error("bad_patch", fmt::format("{}:{}: the patch {}", name_, at_ + 1, what), hint);
  }

  bool is_file_header(size_t at) const {
    return at + 1 < lines_.size() && starts_with(lines_[at], "--- ") &&
           starts_with(lines_[at + 1], "+++ ");
  }

  std::string read_subject() {
    std::string subject(lines_[at_].substr(9));
    while (at_ + 1 < lines_.size() && starts_with(lines_[at_ + 1], " ")) subject += lines_[++at_];
    size_t open = 0;
    while (open < subject.size() && subject[open] == '[') {  // [PATCH 1/2] [stable]
      size_t close = subject.find(']', open);
      if (close == std::string::npos) break;
      open = subject.find_first_not_of(' ', close + 1);
      if (open == std::string::npos) return "";
    }
    return subject.substr(open);
  }

  std::string strip(const std::string& raw) const {
    if (raw == "/dev/null") return "";
    std::string_view path = raw;
    if (starts_with(path, "/")) fail(fmt::format("names an absolute path, {}", raw), "");
    for (unsigned i = 0; i < strip_; ++i) {
      size_t slash = path.find('/');
      if (slash == std::string_view::npos)
        fail(fmt::format("names {}, which has fewer than {} leading folders", raw, strip_),
             "say with --patch-opt=-pN how many to strip");
      path.remove_prefix(slash + 1);
    }
    return safe(fs::path(path).lexically_normal().string(), raw);
  }

  std::string safe(const std::string& path, const std::string& raw) const {
    bool bad = path.empty() || path.front() == '/' || path == "." || path.find('\0') != path.npos;
    for (const fs::path& part : fs::path(path)) bad = bad || part == "..";
    if (bad) fail(fmt::format("names {}, which is outside the source", raw), "");
    return path;
  }

  // From "diff --git" to the end of its hunks.
  void read_git_section(Patch& patch) {
    PatchFile file;
    size_t start = at_++;
    for (; at_ < lines_.size() && !is_file_header(at_); ++at_) {
      std::string_view line = lines_[at_];
      if (starts_with(line, "rename from ") || starts_with(line, "copy from "))
        file.old_path = safe_tail(line, line.find("from ") + 5);
      else if (starts_with(line, "rename to ") || starts_with(line, "copy to "))
        file.new_path = safe_tail(line, line.find("to ") + 3);
      else if (starts_with(line, "GIT binary patch") || starts_with(line, "Binary files "))
        fail("changes a binary file", "leave that file out");
      else if (!is_git_extra(line))
        break;
      file.rename = file.rename || starts_with(line, "rename ");
      file.copy = file.copy || starts_with(line, "copy ");
    }
    if (at_ < lines_.size() && is_file_header(at_)) {
      patch.files.push_back(file);
      read_hunks(patch.files.back());
    } else if (file.rename || file.copy) {
      patch.files.push_back(file);
    } else if (std::optional<std::string> path = same_name(lines_[start])) {
      file.old_path = file.new_path = *path;  // only a mode, or an empty file
      patch.files.push_back(file);
    }
  }

  std::string safe_tail(std::string_view line, size_t from) const {
    std::string raw = unquote(line.substr(from));
    return safe(fs::path(raw).lexically_normal().string(), raw);
  }

  static bool is_git_extra(std::string_view line) {
    for (std::string_view word : {"old mode ", "new mode ", "deleted file ", "new file ",
                                  "similarity ", "dissimilarity ", "index "})
      if (starts_with(line, word)) return true;
    return false;
  }

  // "diff --git a/x b/x" of a section without other names.
  std::optional<std::string> same_name(std::string_view line) const {
    line.remove_prefix(11);
    size_t half = line.size() / 2;
    if (line.size() < 5 || line[half] != ' ') return std::nullopt;
    std::string first = unquote(line.substr(0, half)), second = unquote(line.substr(half + 1));
    if (strip(first) != strip(second)) return std::nullopt;
    return strip(first);
  }

  void read_hunks(PatchFile& file) {
    std::string old_path = strip(header_name(lines_[at_]));
    std::string new_path = strip(header_name(lines_[at_ + 1]));
    if (file.old_path.empty()) file.old_path = old_path;
    if (file.new_path.empty()) file.new_path = new_path;
    if (file.old_path.empty() && file.new_path.empty()) fail("names /dev/null twice", "");
    at_ += 2;
    while (at_ < lines_.size() && starts_with(lines_[at_], "@@ ")) {
      ++file.hunks;
      skip_hunk();
    }
    if (file.hunks == 0) fail(fmt::format("has no hunk for {}", new_path), "");
  }

  void skip_hunk() {
    unsigned long old_count = 1, new_count = 1, ignored = 0;
    std::string header(lines_[at_]);
    const char* place = header.c_str() + 3;
    char* end = nullptr;
    auto number = [&](char lead, unsigned long& count) {
      if (*place != lead) fail("has a hunk header that cannot be read", "");
      ignored = std::strtoul(place + 1, &end, 10);
      if (end == place + 1) fail("has a hunk header that cannot be read", "");
      if (*end == ',') count = std::strtoul(end + 1, &end, 10);
      place = *end == ' ' ? end + 1 : end;
    };
    number('-', old_count);
    number('+', new_count);
    ++at_;
    while ((old_count > 0 || new_count > 0) && at_ < lines_.size()) {
      char first = lines_[at_].empty() ? ' ' : lines_[at_][0];
      if (first == '-' && old_count > 0)
        --old_count;
      else if (first == '+' && new_count > 0)
        --new_count;
      else if (first == ' ' && old_count > 0 && new_count > 0)
        --old_count, --new_count;
      else if (first != '\\')
        fail("has a hunk that does not fit its header", "is it cut off?");
      ++at_;
    }
    if (old_count > 0 || new_count > 0) fail("ends inside a hunk", "is it cut off?");
    if (at_ < lines_.size() && starts_with(lines_[at_], "\\ ")) ++at_;
  }

  std::vector<std::string_view> lines_;
  size_t at_ = 0;
  unsigned strip_;
  std::string name_;
};

// Copies the file below source into staging unless it is there already, or was touched before.
void stage(const fs::path& source, const fs::path& staging, const std::string& path,
           std::set<std::string>& staged) {
  if (path.empty() || !staged.insert(path).second) return;
  fs::path from = source / path;
  if (!fs::is_regular_file(from)) return;
  fs::create_directories((staging / path).parent_path());
  fs::copy_file(from, staging / path);
  fs::permissions(staging / path, fs::perms::owner_read | fs::perms::owner_write,
                  fs::perm_options::add);
}

std::string with_final_newline(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

bool same_content(const fs::path& a, const fs::path& b) { return read_file(a) == read_file(b); }

}  // namespace

Patch parse_patch(const std::string& text, unsigned strip, const std::string& name) {
  Patch patch;
  patch.text = text;
  Parser(text, strip, name).run(patch);
  return patch;
}

unsigned strip_of(const std::vector<std::string>& patch_options) {
  unsigned strip = 1;
  for (const std::string& option : patch_options) {
    const char* digits = starts_with(option, "-p")         ? option.c_str() + 2
                         : starts_with(option, "--strip=") ? option.c_str() + 8
                                                           : nullptr;
    if (digits != nullptr && *digits >= '0' && *digits <= '9')
      strip = static_cast<unsigned>(std::strtoul(digits, nullptr, 10));
  }
  return strip;
}

AppliedPatch apply_patches(const std::vector<Patch>& patches,
                           const std::vector<std::string>& patch_options, const fs::path& source,
                           const fs::path& staging) {
  AppliedPatch result;
  std::set<std::string> staged;
  std::map<std::string, std::string> renamed;  // new -> old
  for (const Patch& patch : patches) {
    for (const PatchFile& file : patch.files) {
      stage(source, staging, file.old_path, staged);
      stage(source, staging, file.new_path, staged);
      if (file.rename)
        renamed[file.new_path] =
            renamed.contains(file.old_path) ? renamed[file.old_path] : file.old_path;
    }
    // Without fuzz: a hunk whose context differs is a hunk for another source.
    std::vector<std::string> argv = {
        "patch",           "--batch",  "--forward", "--no-backup-if-mismatch",
        "--reject-file=-", "--fuzz=0", "-p1"};
    argv.insert(argv.end(), patch_options.begin(), patch_options.end());
    CommandOptions options;
    options.directory = staging;
    options.input = with_final_newline(patch.text);
    options.env = {{"LC_ALL", "C"}, {"POSIXLY_CORRECT", ""}, {"PATCH_GET", ""}};
    CommandResult run = run_command(argv, options);
    if (run.status != 0)
      throw Error("patch_failed",
                  fmt::format("the patch does not apply to {}:\n{}", source.string(), run.output),
                  "is this the source of the running kernel, and is the patch not in it yet? "
                  "--patch-opt=--fuzz=2 lets hunks apply whose context differs");
    for (std::string_view line : split_lines(run.output))
      if (line.find(" with fuzz ") != std::string_view::npos)
        result.notes.push_back("patch: " + std::string(line));
  }
  for (const std::string& path : staged) {
    bool before = fs::is_regular_file(source / path), after = fs::is_regular_file(staging / path);
    FileChange change;
    change.path = path;
    if (before && after && same_content(source / path, staging / path)) continue;
    if (!before && !after) continue;
    change.kind = !after ? ChangeKind::Deleted : !before ? ChangeKind::Added : ChangeKind::Modified;
    if (before) change.old_path = path;
    if (after) change.content = staging / path;
    auto from = renamed.find(path);
    if (change.kind == ChangeKind::Added && from != renamed.end()) {
      change.kind = ChangeKind::Renamed;
      change.old_path = from->second;
    }
    result.changes.push_back(change);
  }
  return result;
}

std::string diff_of_extension(const fs::path& source, const std::string& extension) {
  std::string suffix = extension.front() == '.' ? extension : "." + extension;
  std::vector<std::string> files;
  for (auto it = fs::recursive_directory_iterator(source); it != fs::end(it); ++it) {
    if (it->is_directory() && it->path().filename() == ".git") it.disable_recursion_pending();
    std::string path = it->path().lexically_relative(source).string();
    if (path.size() > suffix.size() && path.ends_with(suffix) && it->is_regular_file())
      files.push_back(path.substr(0, path.size() - suffix.size()));
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const std::string& file : files) {
    bool old = fs::exists(source / file);
    CommandOptions options;
    options.directory = source;
    options.env = {{"LC_ALL", "C"}};
    CommandResult run =
        run_command({"diff", "-up", "--label", old ? "a/" + file : "/dev/null", "--label",
                     "b/" + file, "--", old ? file : "/dev/null", file + suffix},
                    options);
    if (run.status > 1) throw Error("bad_patch", fmt::format("diff failed: {}", run.output));
    text += run.output;
  }
  if (text.empty())
    throw Error("bad_patch",
                fmt::format("no file below {} ends in {} and differs from the one without",
                            source.string(), suffix));
  return text;
}

std::string diff_of_commit(const fs::path& source, const std::string& commit, bool series) {
  std::vector<std::string> argv = {"git",
                                   "-c",
                                   "core.quotePath=true",
                                   "-c",
                                   "diff.noprefix=false",
                                   "-c",
                                   "diff.mnemonicPrefix=false"};
  if (series)
    argv.insert(argv.end(), {"format-patch", "--stdout", "--no-signature", "HEAD.." + commit});
  else
    argv.insert(argv.end(), {"diff", "--no-color", "--no-ext-diff", "HEAD", commit, "--"});
  CommandOptions options;
  options.directory = source;
  CommandResult run = run_command(argv, options);
  if (run.status != 0)
    throw Error("bad_patch",
                fmt::format("git cannot tell the change to {}: {}", commit, run.output),
                "SOURCE must be a git tree that has this commit");
  if (run.output.empty())
    throw Error("no_change",
                fmt::format("HEAD of {} and {} have the same content", source.string(), commit));
  return run.output;
}

}  // namespace ksplice
