#include "create/build_names.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>

#include "create/build_files.h"
#include "create/kconfig.h"
#include "create/macros.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool is_makefile(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  return name.starts_with("Makefile") || name.starts_with("Kbuild") || name.ends_with(".mk");
}

// Lines that one of the texts has more often than the other.
std::vector<std::string> differing_lines(std::vector<std::string> before,
                                         std::vector<std::string> after) {
  std::sort(before.begin(), before.end());
  std::sort(after.begin(), after.end());
  std::vector<std::string> lines;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                std::back_inserter(lines));
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// The path of a folder's object without its kind: "fs/proc/version."; folders keep their slash.
std::string path_of(const std::string& makefile, const std::string& object) {
  const std::string path =
      (fs::path(makefile).parent_path() / object).lexically_normal().generic_string();
  return path.ends_with(".o") ? path.substr(0, path.size() - 1) : path;
}

// The sources whose objects a line names: "$(obj)/a.o: b.o" and "CFLAGS_a.o += -O3" of a folder.
void add_objects(const std::string& makefile, const std::string& line,
                 std::set<std::string>& objects) {
  static const std::regex Object("([A-Za-z0-9_-]+\\.o)\\b");
  for (std::sregex_iterator each(line.begin(), line.end(), Object), end; each != end; ++each) {
    std::string name = (*each)[1];
    objects.insert(path_of(makefile, name));
    for (size_t at = name.find("FLAGS_"); at != name.npos; at = name.find('_', at + 1))
      objects.insert(path_of(makefile, name.substr(name.find('_', at) + 1)));
  }
}

void add_make_names(const std::string& line, BuildNames& names) {
  static const std::regex Assigned("^\\s*(?:(?:export|override)\\s+)*([A-Za-z_]\\w*)\\s*[:+?]*="),
      Defined("-[DU]\\s*[\"']?(\\w+)");
  std::smatch found;
  if (std::regex_search(line, found, Assigned)) {
    names.variables.insert(found[1]);
    names.macros.insert(found[1]);
  }
  for (std::sregex_iterator each(line.begin(), line.end(), Defined), end; each != end; ++each)
    names.macros.insert((*each)[1]);
  for (const std::string& word : words_of(line))
    if (!word.starts_with("CONFIG_")) names.macros.insert(word);
}

// What a Kconfig file says of each option; of none where it speaks of several ("if", "choice").
std::map<std::string, std::vector<std::string>> options_of(const std::vector<std::string>& lines) {
  static const std::set<std::string> Breaks = {"menu",   "endmenu", "endif",  "endchoice",
                                               "choice", "if",      "source", "comment"};
  std::map<std::string, std::vector<std::string>> options;
  std::string option;
  for (const std::string& line : lines) {
    std::istringstream words(line);
    std::string first;
    if (!(words >> first) || first.starts_with("#")) continue;
    if (first == "config" || first == "menuconfig") words >> option;
    const bool breaks = Breaks.contains(first);
    if (breaks) option.clear();
    // Texts for people; and what another file says is compared there.
    if (!breaks || first == "if" || first == "choice") options[option].push_back(line);
  }
  return options;
}

void compare_options(const std::vector<std::string>& before, const std::vector<std::string>& after,
                     BuildNames& names) {
  const auto was = options_of(before), is = options_of(after);
  for (const auto* some : {&was, &is})
    for (const auto& [option, lines] : *some) {
      const auto old = was.find(option), now = is.find(option);
      if (old != was.end() && now != is.end() && old->second == now->second) continue;
      names.any_option = names.any_option || option.empty();
      if (option.empty()) continue;
      names.options.insert(option);
      for (const char* kind : {"", "_MODULE"}) names.macros.insert("CONFIG_" + option + kind);
    }
}

std::set<std::string> changed_words(const Hunk& hunk) {
  std::set<std::string> words;
  for (const std::string& line : hunk.lines)
    if (line[0] != ' ') words.merge(words_of(line.substr(1)));
  return words;
}

std::string first_of(const std::set<std::string>& words, const std::set<std::string>& names) {
  for (const std::string& word : words)
    if (names.contains(word)) return word;
  return "";
}

// What the hunk asks for of macros, variables or options, as its file's kind has them.
std::string asked_for(const std::string& file, const Hunk& hunk, const BuildNames& names) {
  if (is_kconfig(file)) return first_of(changed_words(hunk), names.options);
  const std::set<std::string> words = is_makefile(file) ? changed_words(hunk) : asked_words(hunk);
  if (is_makefile(file))
    if (std::string variable = first_of(words, names.variables); !variable.empty()) return variable;
  for (const std::string& word : words)
    if (word.starts_with("CONFIG_") && (names.any_option || names.macros.contains(word)))
      return word;
  return is_makefile(file) ? "" : first_of(words, names.macros);
}

bool is_below(const std::string& file, const std::set<std::string>& paths) {
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    return file.starts_with(path) &&
           (path.ends_with("/") || file.find_first_of("./", path.size()) == file.npos);
  });
}

}  // namespace

bool is_build_text(const std::string& path) { return is_makefile(path) || is_kconfig(path); }

BuildNames compare_build_names(const std::string& path, const std::vector<std::string>& before,
                               const std::vector<std::string>& after) {
  BuildNames names;
  names.path = path;
  if (is_kconfig(path)) {
    compare_options(before, after, names);
    return names;
  }
  const BuildFileDiff diff = compare_build_files(joined(before), joined(after));
  for (const auto* objects : {&diff.added, &diff.removed})
    for (const std::string& object : *objects) names.listed.insert(path_of(path, object));
  for (const std::string& line : differing_lines(before, after)) {
    add_make_names(line, names);
    if (diff.other) add_objects(path, line, names.governed);
  }
  return names;
}

void add_astray(const Hunk& hunk, const std::vector<std::string>& lines, BuildNames& names) {
  std::vector<std::string> without, with;
  for (const std::string& line : hunk.lines) {
    if (line[0] != '+') without.push_back(line.substr(1));
    if (line[0] != '-') with.push_back(line.substr(1));
  }
  const bool is_there =
      std::all_of(hunk.lines.begin(), hunk.lines.end(), [&](const std::string& line) {
        const bool has = std::find(lines.begin(), lines.end(), line.substr(1)) != lines.end();
        return line[0] == ' ' || has == (line[0] == '+');
      });
  if (is_there) return;
  BuildNames more = compare_build_names(names.path, without, with);
  names.macros.merge(more.macros);
  names.variables.merge(more.variables);
  names.options.merge(more.options);
  names.listed.merge(more.listed);
  names.governed.merge(more.governed);
  // Which option lines of it belong to is not known.
  names.any_option = names.any_option || is_kconfig(names.path);
}

std::string need_of(const std::string& file, const Hunk& hunk, const BuildNames& names) {
  const std::string asked = asked_for(file, hunk, names);
  if (!asked.empty()) return fmt::format("asks for {}, which that sets in {}", asked, names.path);
  const bool is_new = hunk.first == 0;
  if (is_below(file, names.listed) || (is_new && is_below(file, names.governed)))
    return fmt::format("changes {}, of which that decides in {} how it is compiled", file,
                       names.path);
  return "";
}

}  // namespace ksplice
