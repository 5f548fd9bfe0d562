#include "create/origin.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "create/cause.h"
#include "create/leave_out.h"
#include "create/macros.h"
#include "objdiff/base/file.h"
#include "objdiff/object/dwarf.h"

namespace ksplice {

namespace {

// Whether the lines, but for the one at the end, are those of a file.
bool is_text(const std::vector<WovenLine>& lines, const std::filesystem::path& file) {
  const std::vector<std::string> real = lines_of_text(read_text(file));
  return real.size() + 1 == lines.size() &&
         std::equal(real.begin(), real.end(), lines.begin(),
                    [](const std::string& a, const WovenLine& b) { return a == b.text; });
}

// "count" of "count.3" and "variable count", "foo" of "struct foo".
std::string plain_symbol(std::string name) {
  name = name.substr(name.rfind(' ') + 1);
  return name.substr(0, name.find('.'));
}

// What can be nothing but a consequence of a refusal of that code in the same unit, if it has no
// hunk of its own: new code is as it is because types are.
bool can_follow(const Refusal& refusal, const Refusal& cause) {
  if (cause.code == "type_changed")
    return refusal.code != "type_changed" && refusal.code != "wrong_type" &&
           refusal.code != "no_match";
  return refusal.code == "init_needed" &&
         (cause.code == "init_changed" || cause.code == "registration_changed");
}

bool is_subset(const std::vector<Origin>& some, const std::vector<Origin>& all) {
  return std::all_of(some.begin(), some.end(), [&](const Origin& each) {
    return std::find(all.begin(), all.end(), each) != all.end();
  });
}

}  // namespace

// The units, with the debug information of the last one that was asked for: refusals come unit by
// unit, and there can be thousands.
struct Origins::UnitLines {
  const std::deque<ChangedUnit>& units;
  const ChangedUnit* last = nullptr;
  std::unique_ptr<DebugInfo> debug;

  const DebugInfo& of(const ChangedUnit& unit) {
    if (last != &unit) debug = std::make_unique<DebugInfo>(unit.post);
    last = &unit;
    return *debug;
  }
};

Origins::Origins(const std::vector<Patch>& patches, Weave woven,
                 const std::vector<FileChange>& changes)
    : patches_(&patches), woven_(std::move(woven)) {
  for (const FileChange& change : changes) {
    auto lines = woven_.files.find(change.path);
    if (lines != woven_.files.end() && !change.content.empty() &&
        !is_text(lines->second, change.content))
      woven_.files.erase(lines);
  }
}

std::vector<Origin> Origins::texts(const Hunks& hunks) const {
  std::vector<Origin> origins;
  for (int each : hunks) {
    const WovenHunk& hunk = woven_.hunks[static_cast<size_t>(each)];
    origins.push_back({(*patches_)[hunk.patch].label, hunk.file, hunk.hunk->range});
  }
  return origins;
}

void Origins::add_line(const std::string& file, unsigned line, Hunks& hunks) const {
  auto found = woven_.files.find(file);
  if (found == woven_.files.end() || line == 0 || line >= found->second.size()) return;
  const int hunk = found->second[line - 1].name.hunk;
  if (hunk >= 0) hunks.insert(hunk);
}

// What was taken away between or directly around the lines.
void Origins::add_taken(const std::string& file, unsigned first, unsigned last,
                        Hunks& hunks) const {
  auto found = woven_.files.find(file);
  if (found == woven_.files.end() || first == 0) return;
  for (size_t line = first; line <= last + 1 && line <= found->second.size(); ++line)
    hunks.insert(found->second[line - 1].taken_before.begin(),
                 found->second[line - 1].taken_before.end());
}

std::vector<Origin> Origins::of_line(const std::string& file, unsigned line) const {
  Hunks hunks;
  add_line(file, line, hunks);
  if (hunks.empty()) add_taken(file, line, line, hunks);
  return texts(hunks);
}

// Lines that are new, inlined functions included; else where lines went, or stand between the
// function's own without code.
Origins::Hunks Origins::of_function(const ChangedUnit& unit, const DebugInfo& debug,
                                    const FunctionDiff& function) const {
  const bool is_gone = function.post == nullptr;
  if (is_gone) return {};
  const std::vector<SourceLine> lines = lines_of(unit, debug, function);
  Hunks hunks;
  std::map<std::string, std::pair<unsigned, unsigned>> ranges;
  for (const SourceLine& line : lines) {
    add_line(line.file, line.line, hunks);
    add_taken(line.file, line.line, line.line, hunks);
  }
  if (!hunks.empty() || lines.empty()) return hunks;
  // Only in its own definition: code of headers stands anywhere in them.
  auto file = woven_.files.find(lines.front().file);
  if (file == woven_.files.end() || lines.front().line > file->second.size()) return hunks;
  const auto block = find_block(file->second, lines.front().line - 1);
  if (!block) return hunks;
  for (size_t line = block->first + 1; line <= block->second + 1; ++line)
    add_line(lines.front().file, static_cast<unsigned>(line), hunks);
  return hunks.empty() ? of_macros(file->second, *block) : hunks;
}

// The changed functions that the refusal names: as its symbol, or in its sentence.
Origins::Hunks Origins::of_functions(const Refusal& refusal, UnitLines& units) const {
  const std::set<std::string> words = words_of(refusal.message);
  Hunks named, mentioned;
  for (const ChangedUnit& unit : units.units) {
    if (unit.name != refusal.object && unit.target != refusal.object) continue;
    for (const FunctionDiff& function : unit.diff.functions) {
      if (function.status == DiffStatus::Same) continue;
      if (function.name == refusal.symbol)
        named.merge(of_function(unit, units.of(unit), function));
      else if (words.contains(function.name))
        mentioned.merge(of_function(unit, units.of(unit), function));
    }
  }
  return named.empty() ? mentioned : named;
}

// What is new in the declaration, and what is gone from it.
Origins::Hunks Origins::of_declaration(const Refusal& refusal) const {
  Hunks hunks;
  const std::string after = plain_path(refusal.declared.file);
  auto now = woven_.files.find(after);
  if (now == woven_.files.end() || refusal.declared.line == 0 ||
      refusal.declared.line >= now->second.size())
    return hunks;
  const auto block = find_block(now->second, refusal.declared.line - 1);
  if (!block) return of_line(after, refusal.declared.line).empty() ? hunks : of_file(after);
  for (size_t line = block->first + 1; line <= block->second + 1; ++line)
    add_line(after, static_cast<unsigned>(line), hunks);
  // What was taken away behind the last line is not of the declaration.
  add_taken(after, static_cast<unsigned>(block->first + 1), static_cast<unsigned>(block->second),
            hunks);
  return hunks.empty() ? of_macros(now->second, *block) : hunks;
}

// Hunks that change a macro which a definition names, if nothing in the definition itself changes.
Origins::Hunks Origins::of_macros(const std::vector<WovenLine>& lines,
                                  std::pair<size_t, size_t> block) const {
  std::set<std::string> words;
  for (size_t line = block.first; line <= block.second && line < lines.size(); ++line)
    words.merge(words_of(lines[line].text));
  Hunks hunks;
  for (size_t i = 0; i < woven_.hunks.size(); ++i) {
    if (!woven_.hunks[i].placed) continue;
    for (const std::string& line : woven_.hunks[i].hunk->lines) {
      // Of a macro of several lines, the first one may only be context.
      const bool counts = line[0] != ' ' || line.ends_with('\\');
      if (counts && words.contains(macro_defined_by(line.substr(1))))
        hunks.insert(static_cast<int>(i));
    }
  }
  return hunks;
}

// Hunks in which the name stands in a line that changes.
Origins::Hunks Origins::of_name(const std::string& name) const {
  Hunks hunks;
  if (name.empty()) return hunks;
  for (size_t i = 0; i < woven_.hunks.size(); ++i) {
    if (!woven_.hunks[i].placed) continue;
    for (const std::string& line : woven_.hunks[i].hunk->lines)
      if (line[0] != ' ' && words_of(line.substr(1)).contains(name))
        hunks.insert(static_cast<int>(i));
  }
  return hunks;
}

Origins::Hunks Origins::of_file(const std::string& file) const {
  Hunks hunks;
  for (size_t i = 0; i < woven_.hunks.size(); ++i)
    if (woven_.hunks[i].placed && woven_.hunks[i].file == file) hunks.insert(static_cast<int>(i));
  return hunks;
}

bool Origins::is_of_one_patch(const Hunks& hunks) const {
  return !hunks.empty() && std::all_of(hunks.begin(), hunks.end(), [&](int hunk) {
    return woven_.hunks[static_cast<size_t>(hunk)].patch ==
           woven_.hunks[static_cast<size_t>(*hunks.begin())].patch;
  });
}

Origins::Hunks Origins::find(const Refusal& refusal, UnitLines& units) const {
  Hunks hunks = of_declaration(refusal);
  if (hunks.empty()) hunks = of_functions(refusal, units);
  if (hunks.empty()) hunks = of_name(plain_symbol(refusal.symbol));
  if (hunks.empty()) hunks = of_file(refusal.object);
  return hunks;
}

// The lines of which the compiler complains; or what it names.
Origins::Hunks Origins::of_compiler(const std::string& output) const {
  Hunks hunks, files;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);) {
    const size_t colon = line.find(':');
    if (colon == line.npos || line.find("error: ") == line.npos) continue;
    const std::string file = plain_path(line.substr(0, colon));
    const unsigned number =
        static_cast<unsigned>(std::strtoul(line.c_str() + colon + 1, nullptr, 10));
    add_line(file, number, hunks);
    files.merge(of_file(file));
  }
  if (!hunks.empty()) return hunks;
  for (const std::string& name : quoted_names(output)) hunks.merge(of_name(name));
  if (!is_of_one_patch(hunks)) hunks = files;
  return is_of_one_patch(hunks) ? hunks : Hunks();
}

void Origins::sort(std::vector<Refusal>& refusals) const {
  auto first_patch = [&](const Refusal& refusal) {
    size_t first = patches_->size();
    for (const Origin& origin : refusal.origins)
      for (size_t i = 0; i < first; ++i)
        if ((*patches_)[i].label == origin.patch) first = i;
    return first;
  };
  std::stable_sort(refusals.begin(), refusals.end(), [&](const Refusal& a, const Refusal& b) {
    return std::pair(!a.follows.empty(), first_patch(a)) <
           std::pair(!b.follows.empty(), first_patch(b));
  });
}

void Origins::find_consequences(std::vector<Refusal>& refusals) const {
  for (Refusal& refusal : refusals)
    for (const Refusal& cause : refusals) {
      if (!refusal.follows.empty() || !can_follow(refusal, cause)) continue;
      if (refusal.object != cause.object || !is_subset(refusal.origins, cause.origins)) continue;
      refusal.follows = cause.code + " of " + cause.symbol;
      refusal.origins = cause.origins;
    }
}

void Origins::name(std::vector<Refusal>& refusals, const std::deque<ChangedUnit>& units) const {
  if (patches_ == nullptr) return;
  UnitLines lines{units, nullptr, nullptr};
  for (Refusal& refusal : refusals)
    if (refusal.origins.empty()) refusal.origins = texts(find(refusal, lines));
  find_consequences(refusals);
  // The only patch that there is.
  Hunks all;
  for (size_t i = 0; i < woven_.hunks.size(); ++i)
    if (woven_.hunks[i].placed) all.insert(static_cast<int>(i));
  if (is_of_one_patch(all))
    for (Refusal& refusal : refusals)
      if (refusal.origins.empty())
        refusal.origins =
            all.size() == 1 ? texts(all) : std::vector<Origin>{{texts(all)[0].patch, "", ""}};
  sort(refusals);
}

void Origins::name(Error& error) const {
  if (patches_ == nullptr) return;
  if (auto* refused = dynamic_cast<Refused*>(&error)) {
    const bool is_named = std::any_of(refused->refusals.begin(), refused->refusals.end(),
                                      [](const Refusal& each) { return !each.origins.empty(); });
    if (is_named || refused->refusals.empty()) return;
    name(refused->refusals, {});
    error.code = refused->refusals.front().code;
    error.hint = refused->refusals.front().advice;
  } else if (error.origins.empty() &&
             (error.code == "compile_failed" || error.code == "module_failed")) {
    error.origins = texts(of_compiler(error.what()));
  }
}

}  // namespace ksplice
