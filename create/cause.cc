#include "create/cause.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// The ranges of new lines in the output of diff --unified=0: "@@ -7,2 +8 @@", "@@ -9 +9,0 @@".
std::vector<ChangedLines::Range> read_ranges(const std::string& text) {
  std::vector<ChangedLines::Range> ranges;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    size_t plus = line.find(" +");
    if (!line.starts_with("@@ -") || plus == line.npos) continue;
    char* end = nullptr;
    unsigned first = static_cast<unsigned>(std::strtoul(line.c_str() + plus + 2, &end, 10));
    unsigned count = *end == ',' ? static_cast<unsigned>(std::strtoul(end + 1, &end, 10)) : 1;
    if (count == 0)
      ranges.push_back({std::max(first, 1u), first + 1, false});
    else
      ranges.push_back({first, first + count - 1, true});
  }
  return ranges;
}

// The patches that change a file, by name, if there are several patches.
std::string patches_of(const std::string& path, const std::vector<Patch>& patches) {
  if (patches.size() < 2) return "";
  std::string names;
  for (const Patch& patch : patches)
    for (const PatchFile& file : patch.files)
      if (file.new_path == path) {
        names += (names.empty() ? "" : ", ") + patch.name.substr(patch.name.rfind('/') + 1);
        break;
      }
  return names;
}

std::string place(const ChangedLines& change, unsigned line) {
  std::string text = fmt::format("{}:{}", change.file, line);
  return change.patch.empty() ? text : change.patch + ": " + text;
}

}  // namespace

std::vector<SourceLine> lines_of(const ChangedUnit& unit, const DebugInfo& debug,
                                 const FunctionDiff& function) {
  std::vector<SourceLine> lines;
  for (const FunctionDiff& part : unit.diff.functions) {
    if (part.post == nullptr || part.post->section == nullptr) continue;
    if (&part != &function && !part.name.starts_with(function.name + ".")) continue;
    for (uint64_t at = 0; at < part.post->size; ++at) {
      std::optional<SourceLine> line = debug.line_at(part.post->section, part.post->value + at);
      if (!line) continue;
      line->file = plain_path(line->file);
      bool same =
          !lines.empty() && lines.back().line == line->line && lines.back().file == line->file;
      if (!same) lines.push_back(*line);
    }
  }
  return lines;
}

std::string plain_path(const std::string& path) {
  std::string plain = fs::path(path).lexically_normal().string();
  size_t slot = plain.rfind("/slot-");
  for (std::string_view part : {"/tree/", "/work/module/"})
    if (slot != plain.npos && plain.find(part, slot) != plain.npos)
      plain.erase(0, plain.find(part, slot) + part.size());
  while (plain.starts_with("../")) plain.erase(0, 3);
  return plain;
}

std::vector<ChangedLines> find_changed_lines(const std::vector<FileChange>& changes,
                                             const std::vector<Patch>& patches,
                                             const fs::path& source) {
  std::vector<ChangedLines> changed;
  for (const FileChange& change : changes) {
    if (change.kind == ChangeKind::Deleted) continue;
    fs::path old = change.old_path.empty() ? "/dev/null" : source / change.old_path;
    CommandOptions options;
    options.env = {{"LC_ALL", "C"}};
    CommandResult run = run_command(
        {"diff", "--unified=0", "--text", old.string(), change.content.string()}, options);
    changed.push_back({change.path, patches_of(change.path, patches), read_ranges(run.output)});
  }
  return changed;
}

std::string find_cause(const std::vector<ChangedLines>& changed,
                       const std::vector<SourceLine>& lines, const SourceLine& here) {
  for (bool exact : {true, false})
    for (bool only_here : {true, false})
      for (const SourceLine& line : lines) {
        if (only_here && (line.line != here.line || line.file != here.file)) continue;
        for (const ChangedLines& change : changed)
          for (const ChangedLines::Range& range : change.ranges)
            if (range.exact == exact && line.file == change.file && range.first <= line.line &&
                line.line <= range.last)
              return place(change, line.line);
      }
  // No line of its own. Between two lines of the function, or the only place that the patch has.
  const ChangedLines* only = nullptr;
  size_t ranges = 0;
  for (const ChangedLines& change : changed) {
    unsigned low = ~0u, high = 0;
    for (const SourceLine& line : lines)
      if (line.file == change.file) {
        low = std::min(low, line.line);
        high = std::max(high, line.line);
      }
    for (const ChangedLines::Range& range : change.ranges)
      if (low <= range.first && range.last <= high) return place(change, range.first);
    ranges += change.ranges.size();
    if (!change.ranges.empty()) only = &change;
  }
  return ranges == 1 ? place(*only, only->ranges.front().first) : "";
}

void find_causes(std::deque<ChangedUnit>& units, const std::vector<ChangedLines>& changed) {
  for (ChangedUnit& unit : units) {
    DebugInfo debug(unit.post);
    for (const FunctionDiff& function : unit.diff.functions) {
      if (function.status != DiffStatus::Changed && function.status != DiffStatus::New) continue;
      if (function.post == nullptr || function.reasons.empty()) continue;
      std::optional<SourceLine> here = debug.line_at(
          function.post->section, function.post->value + function.reasons.front().offset);
      if (here) here->file = plain_path(here->file);
      unit.causes[function.name] =
          find_cause(changed, lines_of(unit, debug, function), here.value_or(SourceLine{}));
    }
  }
}

}  // namespace ksplice
