#include "create/release/release.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "create/create.h"
#include "create/release/changelog.h"
#include "create/release/debian.h"
#include "create/release/files.h"
#include "create/release/parts.h"
#include "create/release/split.h"
#include "create/release/survey.h"
#include "create/release/trial.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// How much longer it takes, by what the parts took until now. A part's work grows with its units.
class Estimate {
 public:
  explicit Estimate(size_t all) : left_(all) {}
  void done(size_t weight, double seconds) {
    left_ -= weight;
    done_ += weight;
    seconds_ += seconds;
  }
  void skip(size_t weight) { left_ -= weight; }
  static size_t weight_of(const PartReport& part) { return 4 + part.units; }
  std::string text() const {
    if (done_ == 0) return "";
    const double seconds = seconds_ / static_cast<double>(done_) * static_cast<double>(left_);
    return seconds < 90 ? fmt::format(", about {:.0f} s left", seconds)
                        : fmt::format(", about {:.0f} min left", seconds / 60);
  }

 private:
  size_t left_, done_ = 0;
  double seconds_ = 0;
};

// Everything of one run.
struct Release {
  const Options& options;
  Progress& progress;
  fs::path before, after;
  std::vector<ReleaseFile> files;
  std::vector<size_t> chosen;  // files with a part in the report, in its order
  ReleaseReport report;
};

uint64_t peak_kib() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss);
}

std::string read_changelog_text(const fs::path& file) {
  if (file.extension() != ".gz") return read_text(file);
  const CommandResult run = run_command({"zcat", file.string()});
  if (run.status != 0)
    throw Error("bad_file", fmt::format("{} cannot be read: {}", file.string(), run.output));
  return run.output;
}

// What of the changelog may be about each part.
void take_changelog(Release& release, const fs::path& file) {
  ReleaseReport& report = release.report;
  if (file.empty()) return;
  if (report.old_version.empty())
    throw Error("bad_file", "the kernel's image does not say of which version of Debian it is",
                "leave out --changelog");
  const std::vector<ChangelogEntry> entries =
      read_changelog(read_changelog_text(file), report.old_version, report.new_version);
  report.has_changelog = true;
  for (const ChangelogEntry& entry : entries) {
    add_new(report.cves, entry.cves);
    for (size_t i = 0; i < report.parts.size(); ++i) {
      if (!may_be_about(entry, release.files[release.chosen[i]])) continue;
      report.parts[i].fixes.push_back(entry.subject);
      add_new(report.parts[i].cves, entry.cves);
    }
  }
}

// What of all options decides what comes out of a part.
std::string key_of(const Options& options, const KernelConfig& kernel, const Release& release) {
  std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", kernel.config_text, kernel.release,
                                 kernel.image.string(), fs::file_size(kernel.image),
                                 release.before.string(), kernel.root.string());
  text += fmt::format("{} {} {} {}\n", options.most_units, options.leave_out_init,
                      options.skip_toolchain_check, options.build_modules);
  for (const auto* list : {&options.only_targets, &options.allow_busy, &options.change_pointers,
                           &options.change_values, &options.begin_anew, &options.not_live,
                           &options.zeroed, &options.on_top_of, &options.patch_options})
    text += fmt::format("{}\n", fmt::join(*list, " "));
  return text;
}

// The verdict on each part.
void judge_parts(Release& release, Trials& trials) {
  Progress& progress = release.progress;
  ReleaseReport& report = release.report;
  progress.stage("find which parts are in this configuration");
  std::vector<size_t> todo;  // places in report.parts
  for (size_t i = 0; i < release.chosen.size(); ++i) {
    PartReport& part = report.parts[i];
    if (!trials.judge_by_name(release.chosen[i], part)) todo.push_back(i);
    progress.make_output("");
    check_interrupted();
  }
  progress.result(fmt::format("{} of {}", todo.size(), release.chosen.size()));
  size_t weight = 0;
  for (size_t i : todo) weight += Estimate::weight_of(report.parts[i]);
  Estimate estimate(weight);
  for (size_t number = 0; number < todo.size(); ++number) {
    PartReport& part = report.parts[todo[number]];
    const size_t own = Estimate::weight_of(part);
    const size_t file = release.chosen[todo[number]];
    progress.stage(fmt::format("try part {} of {}: {}{}", number + 1, todo.size(), part.path,
                               estimate.text()));
    if (trials.recall(file, part)) {
      estimate.skip(own);
    } else {
      trials.judge(file, part);
      estimate.done(own, part.seconds);
    }
    progress.result(verdict_text(part.verdict) + (part.code.empty() ? "" : " (" + part.code + ")"));
  }
}

std::map<std::string, size_t> places_of(const std::vector<ReleaseFile>& files) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < files.size(); ++i) places[files[i].path] = i;
  return places;
}

// The files of some parts.
FileSet files_of(const Release& release, const std::vector<size_t>& parts) {
  const std::map<std::string, size_t> places = places_of(release.files);
  FileSet all;
  for (size_t part : parts)
    for (const std::string& path : release.report.parts[part].files()) all.insert(places.at(path));
  return all;
}

// The verdicts, now that all of made are in the update; left: why files are not, by path.
void settle(Release& release, const PartGroup& group, const FileSet& made,
            const std::map<std::string, PackageLeftOut>& left) {
  ReleaseReport& report = release.report;
  std::set<std::string> paths;
  for (size_t file : made) paths.insert(release.files[file].path);
  const std::set<size_t> own(group.parts.begin(), group.parts.end());
  for (size_t i = 0; i < report.parts.size(); ++i) {
    PartReport& part = report.parts[i];
    if (part.verdict == Verdict::NotHere || part.verdict == Verdict::NoCode) continue;
    const std::vector<std::string> files = part.files();
    const auto missing = std::find_if(
        files.begin(), files.end(), [&](const std::string& path) { return !paths.contains(path); });
    if (missing == files.end()) {
      part.verdict = Verdict::Live;
      part.code = part.why = "";
      part.options.clear();
      part.update = report.updates.back().id;
    } else if (own.contains(i)) {
      const auto reason = left.find(*missing);
      part.verdict = Verdict::Reboot;
      part.code = reason == left.end() ? "needs_patch" : reason->second.code;
      part.why =
          fmt::format("by itself an update of it was made; with all others {} is refused: {}",
                      *missing, reason == left.end() ? "" : reason->second.why);
    }
  }
}

// Of a part that is live: what shares its new names, and is not.
void note_halves(Release& release, const ReleaseParts& parts, const FileSet& made) {
  constexpr size_t Most = 3;
  std::map<size_t, const PartReport*> reports;
  for (size_t i = 0; i < release.chosen.size(); ++i)
    reports[release.chosen[i]] = &release.report.parts[i];
  auto is_missing = [&](size_t file) {
    const auto report = reports.find(file);
    if (made.contains(file) || classify_file(release.files[file].path).kind == FileKind::Ignored)
      return false;
    return report == reports.end() || report->second->verdict == Verdict::Decision ||
           report->second->verdict == Verdict::Reboot;
  };
  for (size_t i = 0; i < release.chosen.size(); ++i) {
    PartReport& part = release.report.parts[i];
    std::map<size_t, std::string> halves;
    if (part.verdict == Verdict::Live)
      for (const auto& [name, files] : parts.shared_names(release.chosen[i]))
        for (size_t file : files)
          if (is_missing(file)) halves.emplace(file, name);
    for (const auto& [file, name] : halves)
      if (part.notes.size() < Most)
        part.notes.push_back(fmt::format("{}, which uses {} as well, {}", release.files[file].path,
                                         name,
                                         reports.contains(file) ? "is not live" : "was not tried"));
  }
}

// One update of a group. Returns the files that are in it.
FileSet make_update(Release& release, const PartGroup& group) {
  ReleaseReport& report = release.report;
  FileSet live = files_of(release, group.parts);
  TempDir folder;
  Options options = part_options(release.options);
  options.patches = write_patches(release.files, live, folder.path());
  options.keep_going = live.size() > 1;
  options.id = report.updates.back().id;
  if (options.description.empty())
    options.description = fmt::format(
        "what can be live of {}{}{}", group.subsystem, group.subsystem.empty() ? "" : " of ",
        report.new_version.empty() ? report.new_source : report.new_version);
  const CreateResult made = create_update(options, release.progress);
  report.updates.back().tarball = made.tarball;
  std::map<std::string, PackageLeftOut> left;
  for (const PackageLeftOut& each : made.left_out_patches)
    for (auto file = live.begin(); file != live.end();) {
      if (each.patch != patch_name(release.files[*file])) {
        ++file;
        continue;
      }
      left.emplace(release.files[*file].path, each);
      file = live.erase(file);
    }
  settle(release, group, live, left);
  return live;
}

// Why a group's parts, which are live by themselves, are in no update.
void take_failure(ReleaseReport& report, const PartGroup& group, const Error& error) {
  const std::string what = error.what();
  report.updates.back().failure =
      fmt::format("{}: {}", error.code, what.substr(0, what.find('\n')));
  for (size_t i : group.parts) {
    PartReport& part = report.parts[i];
    if (part.verdict != Verdict::Live) continue;
    part.verdict = Verdict::Decision;
    part.code = error.code;
    part.why = "an update of it was made by itself, and none of all such parts together";
  }
}

std::vector<PartGroup> group_parts(const ReleaseReport& report) {
  if (report.split) return split_parts(report.parts);
  PartGroup all;
  for (size_t i = 0; i < report.parts.size(); ++i)
    if (report.parts[i].verdict == Verdict::Live) all.parts.push_back(i);
  if (all.parts.empty()) return {};
  return {all};
}

// The updates of all that is live. Returns the first error of one that could not be made.
std::exception_ptr make_updates(Release& release, const ReleaseParts& parts) {
  ReleaseReport& report = release.report;
  const std::vector<PartGroup> groups = group_parts(report);
  std::exception_ptr failure;
  std::optional<Error> end;  // after which no other group can do better
  FileSet made;
  for (size_t i = 0; i < groups.size(); ++i) {
    report.updates.push_back(
        {report.split ? split_id(report.id, groups[i].subsystem, i) : report.id, "", ""});
    if (end) {
      take_failure(report, groups[i], *end);
      continue;
    }
    try {
      made.merge(make_update(release, groups[i]));
    } catch (const Error& error) {
      if (error.code == "interrupted") throw;
      if (!failure) failure = std::current_exception();
      take_failure(report, groups[i], error);
      if (ends_all(error)) end = error;
    }
  }
  note_halves(release, parts, made);
  return failure;
}

void write_report(const Release& release) {
  auto place = [&](const char* end) { return report_path(release.options, release.report, end); };
  constexpr auto Replace = nlohmann::ordered_json::error_handler_t::replace;
  write_file(place(".json"), report_to_json(release.report).dump(1, ' ', false, Replace) + "\n");
  write_file(place(".txt"), report_to_text(release.report));
  write_file(place(".html"), report_to_html(release.report));
}

// "to_6_1_187_1"
std::string default_id(const std::string& version) {
  std::string id = version.empty() ? "release" : "to_" + version;
  for (char& c : id) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return id.substr(0, 40);
}

void choose_files(Release& release) {
  for (size_t i = 0; i < release.files.size(); ++i)
    if (is_within(release.files[i].path, release.options.within))
      release.chosen.push_back(i);
    else
      ++release.report.outside;
  release.report.parts.resize(release.chosen.size());
}

}  // namespace

fs::path report_path(const Options& options, const ReleaseReport& report, const std::string& end) {
  return options.output / fmt::format("ksplice-{}-report{}", report.id, end);
}

bool is_within(const std::string& path, const std::vector<std::string>& within) {
  return within.empty() || std::any_of(within.begin(), within.end(), [&](std::string place) {
           while (place.ends_with("/")) place.pop_back();
           return path == place || path.starts_with(place + "/");
         });
}

ReleaseReport make_release(const Options& options, Progress& progress) {
  const std::vector<KernelConfig> kernels = read_kernels(options);
  check_output(options);
  usable_cache(options.cache);
  Release release{options, progress, source_folder(options.source, options, progress), {}, {},
                  {},      {}};
  release.before = kernel_source(release.before);
  DebianSource later{options.to_source, options.changelog};
  if (later.source.empty())
    later = fetch_debian_source(options.cache, kernels.front(), options.to_version, progress);
  if (!options.changelog.empty()) later.changelog = options.changelog;
  release.after = kernel_source(source_folder(later.source, options, progress));

  Survey survey(options, kernels.front(), release.before, progress);
  ReleaseReport& report = release.report;
  report.kernel = kernels.front().release;
  report.source = release.before.string();
  report.new_source = release.after.string();
  report.old_version = debian_version_of(survey.banner());
  report.new_version = options.to_version;
  report.within = options.within;
  report.split = options.split;
  report.id = options.id.empty() ? default_id(report.new_version) : options.id;

  progress.stage("compare the sources");
  release.files = compare_releases(release.before, release.after, progress);
  choose_files(release);
  progress.result(fmt::format(
      "{} differ{}", counted(release.files.size(), "file"),
      options.within.empty()
          ? ""
          : fmt::format(", {} within {}", release.chosen.size(), fmt::join(options.within, ", "))));
  if (release.chosen.empty())
    throw Error("no_change", "no changes detected: the sources do not differ", "");
  progress.stage("find which files belong together");
  const ReleaseParts parts(release.files, release.before);
  Trials trials(options, key_of(options, kernels.front(), release), release.files, parts, survey,
                release.after, progress);
  judge_parts(release, trials);
  take_changelog(release, later.changelog);
  const std::exception_ptr failure = make_updates(release, parts);
  progress.end();
  report.seconds = progress.seconds();
  report.peak_kib = peak_kib();
  write_report(release);
  if (failure && report.tarballs().empty()) std::rethrow_exception(failure);
  return report;
}

}  // namespace ksplice
