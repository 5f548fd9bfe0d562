#include "create/release/parts.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <deque>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include "create/affected.h"
#include "create/macros.h"
#include "objdiff/base/file.h"
#include "objdiff/base/parallel.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool is_header(const std::string& path) { return path.ends_with(".h"); }

// Words of a compiler's message that say nothing: a type's, or too short to be anything by itself.
bool is_common(const std::string& name) {
  static const std::set<std::string> Common = {
      "void",   "const",  "char",   "unsigned", "long",    "struct", "union",
      "static", "bool",   "enum",   "inline",   "short",   "size_t", "extern",
      "return", "__user", "__init", "sock",     "sk_buff", "device", "net_device"};
  constexpr size_t Shortest = 4;
  return name.size() < Shortest || Common.contains(name);
}

// Lines of a comment as the kernel writes it say nothing about code.
bool is_comment(const std::string& line) {
  const size_t begin = line.find_first_not_of(" \t");
  return begin == line.npos || line.compare(begin, 2, "* ") == 0 ||
         line.compare(begin, 2, "/*") == 0 || line.compare(begin, 2, "//") == 0;
}

std::set<std::string> words_of_lines(const Patch& patch, char kind) {
  std::set<std::string> words;
  for (const std::string& line : lines_of(patch, kind))
    if (!is_comment(line) && directive_of(line).first != "include") words.merge(words_of(line));
  return words;
}

// Whether a line of a .c file defines something for other files, or exports it.
bool may_define(const std::string& line) {
  if (line.starts_with("EXPORT_SYMBOL")) return true;
  const bool is_top = !line.empty() && (std::isalpha(static_cast<unsigned char>(line[0])) != 0 ||
                                        line[0] == '_' || line[0] == '#');
  return is_top && !line.starts_with("static ") && !line.starts_with("#include");
}

// The words of what a file brings for others. Everything in a header is for others.
std::set<std::string> words_for_others(const ReleaseFile& file) {
  if (is_header(file.path)) return words_of_lines(file.patch, '+');
  std::set<std::string> words;
  for (const std::string& line : lines_of(file.patch, '+'))
    if (!is_comment(line) && may_define(line)) words.merge(words_of(line));
  return words;
}

// Headers that lines include, as they are written.
std::vector<std::string> included_by(const Patch& patch) {
  std::vector<std::string> names;
  for (const std::string& line : lines_of(patch, '+')) {
    const auto [directive, rest] = directive_of(line);
    if (directive != "include") continue;
    const size_t begin = rest.find_first_of("\"<");
    const size_t end = begin == rest.npos ? rest.npos : rest.find_first_of("\">", begin + 1);
    if (end != rest.npos) names.push_back(rest.substr(begin + 1, end - begin - 1));
  }
  return names;
}

bool ends_as_path(const std::string& path, const std::string& name) {
  return path == name || path.ends_with("/" + name);
}

std::vector<fs::path> code_in(const fs::path& tree, const std::set<std::string>& folders) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const std::string& folder : folders)
    for (const auto& entry : fs::recursive_directory_iterator(tree / folder, none)) {
      const std::string end = entry.path().extension();
      if (end == ".c" || end == ".h" || end == ".S") files.push_back(entry.path());
    }
  return files;
}

// The folder at the top that a file is in; of those for processors, that of one.
std::string top_of(const std::string& path) {
  const size_t slash = path.find('/');
  if (slash == path.npos) return ".";
  return path.substr(0, path.starts_with("arch/") ? path.find('/', slash + 1) : slash);
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Calls seen with each word of text.
template <typename Seen>
void each_word(const std::string& text, const Seen& seen) {
  for (size_t at = 0; at < text.size();) {
    if (!is_word(text[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && is_word(text[at])) ++at;
    seen(std::string_view(text).substr(begin, at - begin));
  }
}

}  // namespace

std::set<std::string> names_not_in(const fs::path& before, const std::set<std::string>& folders,
                                   const std::set<std::string>& names) {
  if (names.empty()) return {};
  std::unordered_map<std::string_view, std::atomic<bool>> found;
  for (const std::string& name : names) found[name] = false;
  const std::vector<fs::path> files = code_in(before, folders);
  for_each_in_parallel(files.size(), [&](size_t i) {
    each_word(read_text(files[i]), [&](std::string_view word) {
      if (auto at = found.find(word); at != found.end()) at->second = true;
    });
    check_interrupted();
  });
  std::set<std::string> fresh;
  for (const std::string& name : names)
    if (!found.at(name)) fresh.insert(name);
  return fresh;
}

std::set<std::string> paths_with_errors(const std::string& output) {
  std::set<std::string> paths;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == line.npos || line.find(": error: ") == line.npos) continue;
    std::string path = line.substr(0, colon);
    while (path.starts_with("../")) path.erase(0, 3);
    paths.insert(fs::path(path).lexically_normal().string());
  }
  return paths;
}

ReleaseParts::ReleaseParts(const std::vector<ReleaseFile>& files, const fs::path& before)
    : files_(files), needs_(files.size()) {
  find_words();
  find_new_names(before);
  find_needs();
}

void ReleaseParts::find_words() {
  for (const ReleaseFile& file : files_) {
    added_.emplace_back();
    brought_.emplace_back();
    const FileKind kind = classify_file(file.path).kind;
    if (kind == FileKind::BuildFile || kind == FileKind::Ignored) continue;
    added_.back() = words_of_lines(file.patch, '+');
    brought_.back() = words_for_others(file);
    for (char kind : {' ', '-'})
      for (const std::string& word : words_of_lines(file.patch, kind)) brought_.back().erase(word);
  }
}

// Names that one file brings and another one uses, as far as the old source has them nowhere.
void ReleaseParts::find_new_names(const fs::path& before) {
  constexpr size_t Shortest = 4;
  std::unordered_map<std::string, size_t> uses;
  for (size_t i = 0; i < files_.size(); ++i)
    for (const std::string& word : added_[i]) ++uses[word];
  std::set<std::string> names, folders = {"include", "arch/x86/include"};
  for (const std::set<std::string>& words : brought_)
    for (const std::string& word : words)
      if (word.size() >= Shortest && uses[word] > 1) names.insert(word);
  for (size_t i = 0; i < files_.size(); ++i)
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return added_[i].contains(name); }))
      folders.insert(top_of(files_[i].path));
  for (const std::string& name : names_not_in(before, folders, names))
    for (size_t i = 0; i < files_.size(); ++i) {
      if (added_[i].contains(name)) users_[name].insert(i);
      if (brought_[i].contains(name)) bringers_[name].insert(i);
    }
}

void ReleaseParts::find_needs() {
  for (const auto& [name, users] : users_)
    for (size_t user : users)
      for (size_t bringer : bringers_[name])
        if (user != bringer) needs_[user].insert(bringer);
  for (size_t user = 0; user < files_.size(); ++user)
    for (const std::string& name : included_by(files_[user].patch))
      for (size_t i = 0; i < files_.size(); ++i)
        if (files_[i].kind == ChangeKind::Added && ends_as_path(files_[i].path, name))
          needs_[user].insert(i);
  // A new unit is built only by its folder's new makefile.
  for (size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].kind != ChangeKind::Added || !files_[i].path.ends_with(".c")) continue;
    const std::string object = fs::path(files_[i].path).stem().string() + ".o";
    for (size_t other = 0; other < files_.size(); ++other)
      if (classify_file(files_[other].path).kind == FileKind::BuildFile)
        for (const std::string& line : lines_of(files_[other].patch, '+'))
          if (line.find(object) != line.npos) needs_[i].insert(other);
  }
}

FileSet ReleaseParts::part_of(size_t file) const {
  FileSet part = {file};
  std::deque<size_t> queue = {file};
  while (!queue.empty()) {
    const size_t one = queue.front();
    queue.pop_front();
    for (size_t need : needs_[one])
      if (part.insert(need).second) queue.push_back(need);
  }
  return part;
}

// The files outside of part that have one of names in words; headers or the others.
FileSet ReleaseParts::files_with(const FileSet& part, const std::set<std::string>& names,
                                 const std::vector<std::set<std::string>>& words,
                                 bool headers) const {
  FileSet found;
  for (size_t i = 0; i < files_.size(); ++i) {
    if (part.contains(i) || files_[i].diff.empty() || is_header(files_[i].path) != headers)
      continue;
    const bool has = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return !is_common(name) && words[i].contains(name);
    });
    if (has) found.insert(i);
  }
  return found;
}

FileSet ReleaseParts::missing(const FileSet& part, const std::set<std::string>& names,
                              const std::set<std::string>& paths) const {
  FileSet found;
  for (size_t i = 0; i < files_.size(); ++i)
    if (!part.contains(i) && !files_[i].diff.empty() && paths.contains(files_[i].path))
      found.insert(i);
  // What brings a name goes before what only has it in a changed line.
  for (const bool headers : {true, false})
    for (const auto* words : {&brought_, &added_})
      if (found.empty()) found = files_with(part, names, *words, headers);
  FileSet all;
  for (size_t file : found) all.merge(part_of(file));
  for (size_t file : part) all.erase(file);
  return all;
}

std::map<std::string, FileSet> ReleaseParts::shared_names(size_t file) const {
  std::map<std::string, FileSet> shared;
  for (const auto& [name, users] : users_)
    if (users.contains(file) && users.size() > 1) shared[name] = users;
  return shared;
}

}  // namespace ksplice
