#include "create/leave_out.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

#include "create/build_names.h"
#include "create/macros.h"
#include "create/progress.h"

namespace ksplice {

namespace {

std::set<size_t> indices_of(const std::vector<LeftOutPatch>& left_out) {
  std::set<size_t> indices;
  for (const LeftOutPatch& each : left_out) indices.insert(each.patch);
  return indices;
}

std::vector<std::string> labels_of(const std::vector<Patch>& patches,
                                   const std::set<size_t>& indices) {
  std::vector<std::string> labels;
  for (size_t index : indices) labels.push_back(patches[index].label);
  return labels;
}

Origin origin_of(const std::vector<Patch>& patches, const WovenHunk& hunk) {
  return {patches[hunk.patch].label, hunk.file, hunk.hunk->range};
}

std::set<std::string> words_of(const std::vector<std::string>& lines) {
  std::set<std::string> words;
  for (const std::string& line : lines) words.merge(ksplice::words_of(line));
  return words;
}

// One judgement of a rest.
class Rest {
 public:
  Rest(const std::vector<Patch>& patches, const std::vector<LeftOutPatch>& left_out,
       const SourceReader& read)
      : patches_(patches),
        left_out_(left_out),
        left_(indices_of(left_out)),
        read_(read),
        whole_(weave(patches, {}, read)),
        rest_(weave(patches, left_, read)) {
    for (const LeftOutPatch& left : left_out_)
      if (left.code != "already_in_source") add_build_names(left.patch);
  }

  RestCheck run() {
    for (size_t index = 0; index < patches_.size(); ++index) {
      if (left_.contains(index)) continue;
      if (!check_lines(index) && !check_macros(index) && !check_build(index))
        check_functions(index);
    }
    return std::move(check_);
  }

 private:
  void refuse(size_t index, const std::set<size_t>& needs, const std::string& how,
              std::vector<Origin> origins) {
    Refusal& refusal = check_.refusals.emplace_back();
    const std::string& label = patches_[index].label;
    refusal.code = "needs_patch";
    refusal.object = label;
    refusal.message = fmt::format("{} needs {}, which {} left out: {}", label,
                                  fmt::join(labels_of(patches_, needs), ", "),
                                  needs.size() == 1 ? "is" : "are", how);
    refusal.advice = fmt::format(
        "leave it out as well (--leave-out={}), or let --keep-going find what can be made", label);
    refusal.origins = std::move(origins);
    for (size_t need : needs)
      if (needing_.contains(need)) refusal.follows = "needs_patch of " + patches_[need].label;
    if (!refusal.follows.empty())
      refusal.message = fmt::format("{} needs {}, which needs what is left out: {}", label,
                                    fmt::join(labels_of(patches_, needs), ", "), how);
    needing_.insert(index);
  }

  // Whether the hunk stands on the same lines as in the whole series.
  static bool is_same(const WovenHunk& whole, const WovenHunk& rest) {
    return rest.placed && rest.stands_on == whole.stands_on;
  }

  // The patches whose lines hunk i stands on, of those that are not there.
  std::set<size_t> needs_of(size_t i) const {
    std::set<size_t> needs;
    for (const LineName& name : whole_.hunks[i].stands_on) {
      if (name.hunk < 0) continue;
      const size_t patch = whole_.hunks[static_cast<size_t>(name.hunk)].patch;
      if (left_.contains(patch) || needing_.contains(patch)) needs.insert(patch);
    }
    if (!needs.empty()) return needs;
    // It stands beside lines that one of them takes away.
    for (size_t patch : left_) {
      std::set<size_t> fewer = left_;
      fewer.erase(patch);
      if (patch < whole_.hunks[i].patch &&
          is_same(whole_.hunks[i], weave(patches_, fewer, read_).hunks[i]))
        return {patch};
    }
    for (size_t patch : left_)
      if (patch < whole_.hunks[i].patch) needs.insert(patch);
    return needs;
  }

  // Does the patch stand on the lines that it was written for. true: it does not.
  bool check_lines(size_t index) {
    std::set<size_t> needs;
    std::vector<Origin> origins;
    bool elsewhere = false;
    for (size_t i = 0; i < whole_.hunks.size(); ++i) {
      const WovenHunk &whole = whole_.hunks[i], &rest = rest_.hunks[i];
      // What does not even go into the whole series is patch(1)'s to judge.
      if (whole.patch != index || !whole.placed || is_same(whole, rest)) continue;
      needs.merge(needs_of(i));
      origins.push_back(origin_of(patches_, whole));
      elsewhere = elsewhere || rest.placed;
    }
    if (needs.empty()) return false;
    refuse(index, needs,
           elsewhere ? "without it, it would be applied to other lines"
                     : "without it, it does not apply",
           std::move(origins));
    return true;
  }

  // What a macro is makes no error in #if. true: the patch asks for one that is another without
  // what is left out.
  bool check_macros(size_t index) {
    for (size_t left : left_)
      for (const std::string& macro : macros_of(patches_[left])) {
        const auto whole = definitions(whole_, macro), rest = definitions(rest_, macro);
        if (whole == rest) continue;
        for (const WovenHunk& hunk : rest_.hunks) {
          if (hunk.patch != index || !asks_for(*hunk.hunk, macro)) continue;
          refuse(index, {left},
                 fmt::format(
                     fmt::runtime(rest.empty() ? "it asks for {}, which only that defines"
                                               : "it asks for {}, which that defines otherwise"),
                     macro),
                 {origin_of(patches_, hunk)});
          return true;
        }
      }
    return false;
  }

  // The lines that define or undefine it, by file, of all files that the series changes.
  std::map<std::string, std::vector<std::string>> definitions(const Weave& weave,
                                                              const std::string& macro) const {
    std::map<std::string, std::vector<std::string>> found;
    auto look_at = [&](const std::string& path, const std::string& line) {
      const std::string directive = directive_of(line).first;
      if ((directive == "define" || directive == "undef") &&
          ksplice::words_of(line).contains(macro))
        found[path].push_back(line);
    };
    for (const auto& [path, lines] : whole_.files) {
      auto woven = weave.files.find(path);
      if (woven != weave.files.end())
        for (const WovenLine& line : woven->second) look_at(path, line.text);
      else if (const std::optional<std::string> text = read_(path))
        for (const std::string& line : lines_of_text(*text)) look_at(path, line);
    }
    return found;
  }

  std::vector<std::string> lines_of_file(const Weave& weave, const std::string& path) const {
    std::vector<std::string> lines;
    if (const auto woven = weave.files.find(path); woven != weave.files.end())
      for (const WovenLine& line : woven->second) lines.push_back(line.text);
    else if (const std::optional<std::string> text = read_(path))
      lines = lines_of_text(*text);
    return lines;
  }

  // What the left out patch would do to makefiles and Kconfig files of the rest.
  void add_build_names(size_t left) {
    std::map<std::string, std::vector<const Hunk*>> astray;  // by file, those that do not fit
    for (const WovenHunk& hunk : whole_.hunks)
      if (hunk.patch == left && is_build_text(hunk.file)) astray[hunk.file];
    if (astray.empty()) return;
    std::set<size_t> others = left_;
    others.erase(left);
    const Weave with = weave(patches_, others, read_);
    for (const WovenHunk& hunk : with.hunks)
      if (hunk.patch == left && !hunk.placed && astray.contains(hunk.file))
        astray[hunk.file].push_back(hunk.hunk);
    for (const auto& [path, hunks] : astray) {
      const std::vector<std::string> rest = lines_of_file(rest_, path);
      BuildNames names = compare_build_names(path, rest, lines_of_file(with, path));
      for (const Hunk* hunk : hunks) add_astray(*hunk, rest, names);
      build_names_.emplace_back(left, std::move(names));
    }
  }

  // What makefiles and Kconfig files of left out patches decide. true: the patch asks for it.
  bool check_build(size_t index) {
    for (const auto& [left, names] : build_names_)
      for (const WovenHunk& hunk : rest_.hunks) {
        if (hunk.patch != index) continue;
        const std::string need = need_of(hunk.file, *hunk.hunk, names);
        if (need.empty()) continue;
        refuse(index, {left}, "it " + need, {origin_of(patches_, hunk)});
        return true;
      }
    return false;
  }

  // Functions that both patches change.
  std::vector<std::string> shared_functions(size_t one, size_t other,
                                            std::vector<Origin>& origins) const {
    std::vector<std::string> names;
    for (const WovenHunk& hunk : whole_.hunks) {
      if (hunk.patch != one) continue;
      for (const WovenBlock& block : hunk.blocks) {
        if (!block.is_function || !is_changed_by(other, block)) continue;
        if (std::count(names.begin(), names.end(), block.name) == 0) names.push_back(block.name);
        const Origin origin = origin_of(patches_, hunk);
        if (std::count(origins.begin(), origins.end(), origin) == 0) origins.push_back(origin);
      }
    }
    return names;
  }

  // The files of hunks of other whose lines are not known, as far as the patch changes them, too.
  std::vector<std::string> files_of_unplaced(size_t index, size_t other,
                                             std::vector<Origin>& origins) const {
    std::vector<std::string> files;
    for (const WovenHunk& hunk : whole_.hunks) {
      if (hunk.patch != other || hunk.placed) continue;
      for (const WovenHunk& own : whole_.hunks) {
        if (own.patch != index || own.file != hunk.file) continue;
        if (std::count(files.begin(), files.end(), own.file) == 0) files.push_back(own.file);
        const Origin origin = origin_of(patches_, own);
        if (std::count(origins.begin(), origins.end(), origin) == 0) origins.push_back(origin);
      }
    }
    return files;
  }

  bool is_changed_by(size_t patch, const WovenBlock& block) const {
    for (const WovenHunk& hunk : whole_.hunks) {
      if (hunk.patch != patch) continue;
      for (const WovenBlock& other : hunk.blocks)
        if (std::any_of(other.lines.begin(), other.lines.end(),
                        [&](const LineName& name) { return block.lines.contains(name); }))
          return true;
    }
    return false;
  }

  void check_functions(size_t index) {
    for (const LeftOutPatch& left : left_out_) {
      std::vector<Origin> origins;
      std::vector<std::string> names = shared_functions(index, left.patch, origins);
      // Where its lines are not known, that is nowhere in files of its own only.
      if (names.empty() && left.code != "already_in_source")
        names = files_of_unplaced(index, left.patch, origins);
      if (names.empty()) continue;
      if (left.is_chosen() || index < left.patch)
        check_.notes.push_back(fmt::format(
            "{} changes {}, which {} changes too and is left out: the update has only a "
            "part of that change",
            patches_[index].label, fmt::join(names, ", "), patches_[left.patch].label));
      else
        return refuse(index, {left.patch},
                      fmt::format("it was written on top of it and changes {}, too; alone it could "
                                  "be half of a fix",
                                  fmt::join(names, ", ")),
                      std::move(origins));
    }
  }

  const std::vector<Patch>& patches_;
  const std::vector<LeftOutPatch>& left_out_;
  const std::set<size_t> left_;
  const SourceReader& read_;
  const Weave whole_, rest_;
  std::vector<std::pair<size_t, BuildNames>> build_names_;  // by the left out patch
  std::set<size_t> needing_;                                // found by now
  RestCheck check_;
};

// The first line of a text, and the first one with a compiler's error.
std::string short_text(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  const size_t error = text.find("error: ");
  if (error != text.npos && error > line.size())
    line += " " + text.substr(error + 7, text.find('\n', error) - error - 7);
  constexpr size_t MaxLine = 400;
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  if (line.size() > MaxLine) line = line.substr(0, MaxLine) + "...";
  return line;
}

bool comes_from(const std::vector<Origin>& origins, const Patch& patch) {
  return std::any_of(origins.begin(), origins.end(),
                     [&](const Origin& origin) { return origin.patch == patch.label; });
}

}  // namespace

std::vector<size_t> find_patches(const std::vector<Patch>& patches, const std::string& name) {
  std::vector<size_t> found;
  for (size_t index = 0; index < patches.size(); ++index) {
    const Patch& patch = patches[index];
    const std::string file = patch.name.substr(0, patch.name.rfind('#'));
    if (name == patch.name || name == patch.label || name == file ||
        name == file.substr(file.rfind('/') + 1))
      found.push_back(index);
  }
  if (!found.empty()) return found;
  std::vector<std::string> labels;
  for (const Patch& patch : patches) labels.push_back(patch.label);
  throw Error("usage", fmt::format("--leave-out={}: no patch of the series has that name", name),
              fmt::format("the series is {}", listed(labels, 20)));
}

RestCheck check_rest(const std::vector<Patch>& patches, const std::vector<LeftOutPatch>& left_out,
                     const SourceReader& read) {
  if (left_out.empty()) return {};
  return Rest(patches, left_out, read).run();
}

std::set<std::string> quoted_names(const std::string& output) {
  std::set<std::string> names;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);) {
    if (line.find("error: ") == line.npos && !line.starts_with("ERROR: ")) continue;
    // 'x', "x", or UTF-8's quotes, whose last bytes are no letters.
    bool inside = false;
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      const bool begins = line.compare(i, 3, "\xe2\x80\x98") == 0;
      const bool ends = line.compare(i, 3, "\xe2\x80\x99") == 0;
      if (begins || ends || line[i] == '\'' || line[i] == '"') {
        if (inside) names.merge(words_of(text));
        inside = begins || (!ends && !inside);
        text.clear();
        if (begins || ends) i += 2;
        continue;
      }
      text += line[i];
    }
  }
  return names;
}

std::optional<Missing> find_missing(const std::vector<Patch>& patches,
                                    const std::vector<LeftOutPatch>& left_out,
                                    const std::string& output) {
  const std::set<std::string> names = quoted_names(output);
  for (const LeftOutPatch& left : left_out) {
    const std::set<std::string> brought = words_of(lines_of(patches[left.patch], '+'));
    std::set<std::string> before = words_of(lines_of(patches[left.patch], '-'));
    before.merge(words_of(lines_of(patches[left.patch], ' ')));
    for (const std::string& name : names)
      if (brought.contains(name) && !before.contains(name)) return Missing{left.patch, name};
  }
  return std::nullopt;
}

std::set<size_t> culprits_of(const Error& error, const std::vector<Patch>& patches) {
  std::set<size_t> culprits;
  const auto* refused = dynamic_cast<const Refused*>(&error);
  for (size_t index = 0; index < patches.size(); ++index) {
    if (comes_from(error.origins, patches[index])) culprits.insert(index);
    if (refused == nullptr) continue;
    for (const Refusal& refusal : refused->refusals)
      if (refusal.follows.empty() && comes_from(refusal.origins, patches[index]))
        culprits.insert(index);
  }
  return culprits;
}

LeftOutPatch left_out_for(const Error& error, const std::vector<Patch>& patches, size_t patch) {
  LeftOutPatch left{patch, error.code, short_text(error.what())};
  if (const auto* refused = dynamic_cast<const Refused*>(&error))
    for (const Refusal& refusal : refused->refusals) {
      if (!refusal.follows.empty() || !comes_from(refusal.origins, patches[patch])) continue;
      left.code = refusal.code;
      left.why = short_text(refusal.message);
      break;
    }
  return left;
}

void throw_missing(const std::vector<Patch>& patches, const std::vector<LeftOutPatch>& left_out,
                   Error& error) {
  if (auto* refused = dynamic_cast<Refused*>(&error)) {
    for (Refusal& refusal : refused->refusals) {
      const std::string name = fmt::format("error: '{}'", refusal.symbol);
      if (const auto missing = find_missing(patches, left_out, name))
        refusal.advice +=
            fmt::format("{}{} comes with {}, which is left out", refusal.advice.empty() ? "" : "; ",
                        missing->word, patches[missing->patch].label);
    }
    return;
  }
  if (error.code != "compile_failed" && error.code != "module_failed") return;
  const std::optional<Missing> missing = find_missing(patches, left_out, error.what());
  if (!missing) return;
  const std::string& needed = patches[missing->patch].label;
  std::vector<std::string> labels;
  for (size_t index : culprits_of(error, patches)) labels.push_back(patches[index].label);
  Refusal refusal;
  refusal.code = "needs_patch";
  refusal.object = labels.size() == 1 ? labels.front() : "";
  refusal.symbol = missing->word;
  refusal.message =
      fmt::format("{} {} {}, which is left out: it does not compile without {}, which that brings",
                  labels.empty() ? "the rest of the series" : listed(labels, 8),
                  labels.size() > 1 ? "need" : "needs", needed, missing->word);
  refusal.found = error.what();
  refusal.found.erase(refusal.found.find_last_not_of('\n') + 1);
  refusal.advice =
      labels.empty()
          ? fmt::format("keep {}, or leave out what needs it", needed)
          : fmt::format(
                "leave it out as well (--leave-out={}), or let --keep-going find what can "
                "be made",
                fmt::join(labels, " --leave-out="));
  refusal.origins = error.origins;
  throw Refused({refusal});
}

namespace {

std::vector<Refusal> reasons_of(const Error& error) {
  if (const auto* refused = dynamic_cast<const Refused*>(&error)) return refused->refusals;
  Refusal refusal;
  refusal.code = error.code;
  refusal.message = error.what();
  refusal.advice = error.hint;
  refusal.origins = error.origins;
  return {refusal};
}

// Every refusal once.
void add_reasons(const Error& error, std::vector<Refusal>& reasons) {
  for (Refusal& refusal : reasons_of(error))
    if (std::none_of(reasons.begin(), reasons.end(), [&](const Refusal& each) {
          return each.code == refusal.code && each.message == refusal.message;
        }))
      reasons.push_back(std::move(refusal));
}

}  // namespace

std::vector<LeftOutPatch> leave_out_culprits(Error& error, const std::vector<Patch>& patches,
                                             std::vector<LeftOutPatch>& left_out,
                                             std::vector<Refusal>& reasons) {
  const bool is_first = reasons.empty();
  if (error.code != "no_change" || is_first) add_reasons(error, reasons);
  std::set<size_t> left = indices_of(left_out), culprits;
  for (size_t index : culprits_of(error, patches))
    if (left.insert(index).second) culprits.insert(index);
  if (left.size() == patches.size() || (culprits.empty() && error.code == "no_change")) {
    if (is_first) return {};
    throw Refused(reasons);
  }
  if (culprits.empty()) {
    const std::string hint =
        "which patch of the series this comes from is not known: --leave-out names one";
    auto* refused = dynamic_cast<Refused*>(&error);
    std::string& advice = refused != nullptr ? refused->refusals.back().advice : error.hint;
    advice += (advice.empty() ? "" : "; ") + hint;
    return {};
  }
  std::vector<LeftOutPatch> found;
  for (size_t index : culprits) found.push_back(left_out_for(error, patches, index));
  left_out.insert(left_out.end(), found.begin(), found.end());
  return found;
}

void advise_leaving_out(Error& error, const std::vector<Patch>& patches,
                        const std::vector<LeftOutPatch>& left_out) {
  std::set<size_t> left = indices_of(left_out);
  const std::set<size_t> culprits = culprits_of(error, patches);
  left.insert(culprits.begin(), culprits.end());
  auto* refused = dynamic_cast<Refused*>(&error);
  if (culprits.empty() || left.size() == patches.size() || error.code == "needs_patch") return;
  std::string& advice = refused != nullptr ? refused->refusals.back().advice : error.hint;
  advice += fmt::format("{}--keep-going tries to make the rest of the series, without {}",
                        advice.empty() ? "" : "; ", listed(labels_of(patches, culprits), 8));
}

}  // namespace ksplice
