#include "create/release/trial.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <regex>

#include "create/create.h"
#include "create/leave_out.h"
#include "create/overlay.h"
#include "create/package/manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr size_t MostFiles = 24;  // of a part
constexpr size_t MostRounds = 6;  // in which it may get more files, or options

// One line, of a length that a table can hold.
std::string short_line(std::string text) {
  constexpr size_t Longest = 300;
  const size_t error = text.find(": error: ");
  const size_t first = text.find('\n');
  if (first != text.npos && error != text.npos && error > first) {
    const size_t begin = text.rfind('\n', error) + 1;
    text = text.substr(0, first) + " " + text.substr(begin, text.find('\n', error) - begin);
  } else {
    text = text.substr(0, first);
  }
  if (text.size() > Longest) text = text.substr(0, Longest) + "...";
  return text;
}

}  // namespace

bool ends_all(const Error& error) {
  for (const char* code : {"interrupted", "no_space", "source_changed", "bad_cache"})
    if (error.code == code) return true;
  return false;
}

Options part_options(const Options& options) {
  Options part = options;
  part.to_source.clear();
  part.to_version.clear();
  return part;
}

std::string patch_name(const ReleaseFile& file) { return flat_name(file.path) + ".patch"; }

std::vector<std::string> write_patches(const std::vector<ReleaseFile>& files, const FileSet& part,
                                       const fs::path& folder) {
  std::vector<std::string> names;
  for (size_t file : part) {
    const fs::path path = folder / patch_name(files[file]);
    write_file(path, files[file].diff);
    names.push_back(path.string());
  }
  return names;
}

std::vector<std::string> options_advised(const std::vector<Refusal>& refusals) {
  static const std::string Option =
      "--(?:leave-out-init|(?:allow-busy|change-pointers|change-values|begin-anew|not-live|zeroed)="
      "(?:'[^']*'|[^ ;]+))";
  static const std::regex Advice("(?:use|with) (" + Option + "(?: " + Option + ")*)");
  static const std::regex Single(Option);
  std::vector<std::string> options;
  for (const Refusal& refusal : refusals) {
    std::smatch found;
    if (!std::regex_search(refusal.advice, found, Advice)) return {};
    const std::string words = found[1];
    for (auto it = std::sregex_iterator(words.begin(), words.end(), Single);
         it != std::sregex_iterator(); ++it)
      if (std::count(options.begin(), options.end(), it->str()) == 0) options.push_back(it->str());
  }
  return options;
}

void add_option(const std::string& option, Options& options) {
  static const std::pair<const char*, std::vector<std::string> Options::*> Lists[] = {
      {"--allow-busy", &Options::allow_busy},
      {"--change-pointers", &Options::change_pointers},
      {"--change-values", &Options::change_values},
      {"--begin-anew", &Options::begin_anew},
      {"--not-live", &Options::not_live},
      {"--zeroed", &Options::zeroed}};
  if (option == "--leave-out-init") options.leave_out_init = true;
  const size_t equal = option.find('=');
  std::string value = equal == option.npos ? "" : option.substr(equal + 1);
  if (value.size() > 1 && value.front() == '\'') value = value.substr(1, value.size() - 2);
  for (const auto& [name, list] : Lists)
    if (option.substr(0, equal) == name) (options.*list).push_back(value);
}

// What may be added to a part is any of the files, so all of them are in the key.
Trials::Trials(const Options& base, const std::string& key, const std::vector<ReleaseFile>& files,
               const ReleaseParts& parts, Survey& survey, const fs::path& after, Progress& progress)
    : base_(base),
      files_(files),
      parts_(parts),
      survey_(survey),
      after_(after),
      progress_(progress) {
  std::string text = sha256(read_file("/proc/self/exe")) + key;
  for (const ReleaseFile& file : files) text += file.diff;
  key_ = hash_text(text);
}

FileSet Trials::to_try(size_t file) const {
  FileSet part = parts_.part_of(file);
  // What has no patch, or is not of the kernel's code, cannot help.
  std::erase_if(part, [&](size_t each) {
    return each != file && (files_[each].diff.empty() ||
                            classify_file(files_[each].path).kind == FileKind::Ignored);
  });
  return part;
}

size_t Trials::count_units(const FileSet& part) {
  std::vector<FileChange> changes;
  for (size_t file : part) changes.push_back(files_[file].change(after_));
  return survey_.count_units(survey_.affected(changes), changes);
}

bool Trials::judge_by_name(size_t file, PartReport& report) {
  const ReleaseFile& own = files_[file];
  report.path = own.path;
  const std::vector<FileChange> changes = {own.change(after_)};
  const FileClass kind = classify_file(own.path);
  if (kind.kind == FileKind::Ignored) {
    report.why = kind.why;
    return true;
  }
  try {
    check_files(changes, survey_.source());
    const Affected affected = survey_.affected(changes);
    report.units = survey_.count_units(affected, changes);
    if (!affected.refusals.empty()) throw Refused(affected.refusals);
    if (report.units == 0 && affected.outside.empty() && !affected.makes_headers) {
      report.why =
          affected.notes.empty() ? "no unit of it reads this file" : affected.notes.front();
      return true;
    }
  } catch (const Error& error) {
    if (ends_all(error)) throw;
    take_error(error, report);
    return true;
  }
  if (!own.diff.empty()) return false;
  report.verdict = Verdict::Reboot;
  report.code = "bad_patch";
  report.why = fmt::format("{} {}", own.path, own.why);
  return true;
}

bool Trials::is_too_wide(const FileSet& part, PartReport& report) {
  report.units = count_units(part);
  if (report.units <= base_.most_units) return false;
  report.verdict = Verdict::Decision;
  report.code = "too_many_units";
  report.why = fmt::format("{} may read what it changes, and --most-units={} are tried",
                           counted(report.units, "unit"), base_.most_units);
  return true;
}

void Trials::take_error(const Error& error, PartReport& report) const {
  report.verdict = error.code == "no_change" ? Verdict::NoCode : Verdict::Reboot;
  report.code = error.code == "no_change" ? "" : error.code;
  report.why = short_line(error.what());
}

// Adds to the part what the error misses of the other files. False: nothing is known.
bool Trials::widen(const Error& error, FileSet& part) const {
  std::set<std::string> names, paths;
  if (const auto* refused = dynamic_cast<const Refused*>(&error)) {
    for (const Refusal& refusal : refused->refusals)
      if (refusal.code == "failed_to_find" || refusal.code == "needs_patch")
        names.insert(refusal.symbol);
  } else if (error.code == "compile_failed" || error.code == "module_failed") {
    names = quoted_names(error.what());
    paths = paths_with_errors(error.what());
  }
  if (names.empty() && paths.empty()) return false;
  FileSet more = parts_.missing(part, names, paths);
  std::erase_if(more, [&](size_t file) {
    return classify_file(files_[file].path).kind == FileKind::Ignored;
  });
  if (more.empty() || part.size() + more.size() > MostFiles) return false;
  part.merge(more);
  return true;
}

void Trials::try_part(FileSet& part, Options options, PartReport& report) {
  for (size_t round = 0;; ++round) {
    if (is_too_wide(part, report)) return;
    TempDir folder;
    options.patches = write_patches(files_, part, folder.path());
    options.output = folder.path();
    options.id = "part";
    options.sign = {};
    options.debug_info = false;
    try {
      Progress quiet(progress_.verbose() == 0 || progress_.quiet(), progress_.verbose());
      const CreateResult made = create_update(options, quiet);
      for (const KernelSummary& kernel : made.kernels) {
        report.changed.insert(report.changed.end(), kernel.changed.begin(), kernel.changed.end());
        for (const TargetSummary& target : kernel.targets)
          report.replaced.insert(report.replaced.end(), target.replaced.begin(),
                                 target.replaced.end());
      }
      report.verdict = report.options.empty() ? Verdict::Live : Verdict::Decision;
      if (report.options.empty()) report.code = report.why = "";
      return;
    } catch (const Error& error) {
      if (ends_all(error)) throw;
      // Of an option that does not do in the end, the first refusal stays.
      if (report.options.empty()) take_error(error, report);
      const auto* refused = dynamic_cast<const Refused*>(&error);
      std::vector<std::string> advised;
      if (refused != nullptr) advised = options_advised(refused->refusals);
      std::erase_if(advised, [&](const std::string& option) {
        return std::count(report.options.begin(), report.options.end(), option) != 0;
      });
      const bool goes_on = round + 1 < MostRounds && (!advised.empty() || widen(error, part));
      for (const std::string& option : advised) {
        report.options.push_back(option);
        add_option(option, options);
      }
      if (goes_on) continue;
      report.options.clear();
      return;
    }
  }
}

fs::path Trials::kept_at(size_t file) const {
  return base_.cache / "releases" / (hash_text(key_ + files_[file].path) + ".json");
}

bool Trials::recall(size_t file, PartReport& report) const {
  const fs::path kept = kept_at(file);
  return fs::exists(kept) && part_from_json(read_text(kept), files_[file].path, report);
}

void Trials::judge(size_t file, PartReport& report) {
  const auto begin = std::chrono::steady_clock::now();
  FileSet part = to_try(file);
  report.path = files_[file].path;
  try_part(part, part_options(base_), report);
  for (size_t each : part)
    if (each != file) report.with.push_back(files_[each].path);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fs::create_directories(base_.cache / "releases");
  write_file(kept_at(file), part_to_json(report).dump());
}

}  // namespace ksplice
