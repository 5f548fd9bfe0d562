#include "create/job.h"

#include <fmt/core.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <random>

#include "create/lower.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

std::string random_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 8; ++i) id += "abcdefghijklmnopqrstuvwxyz0123456789"[random() % 36];
  return id;
}

// The patches of one text: of several, each has its number behind the name.
void add_text(Job& job, const std::string& text, const std::string& name, unsigned strip) {
  const std::vector<std::string> parts = split_series(text);
  for (size_t i = 0; i < parts.size(); ++i) {
    job.patches.push_back(
        parse_patch(parts[i], strip, parts.size() == 1 ? name : fmt::format("{}#{}", name, i + 1)));
    job.texts.push_back(parts[i]);
  }
  job.text += text;
}

// Two files of one name, in two folders, go by their paths.
void tell_apart(std::vector<Patch>& patches) {
  auto same = [&](const Patch& patch) {
    return std::count_if(patches.begin(), patches.end(),
                         [&](const Patch& other) { return other.label == patch.label; });
  };
  std::vector<Patch*> ambiguous;
  for (Patch& patch : patches)
    if (same(patch) > 1) ambiguous.push_back(&patch);
  for (Patch* patch : ambiguous) patch->label = patch->name;
}

void leave_out_chosen(const Options& options, Job& job) {
  for (const std::string& name : options.leave_out)
    for (size_t index : find_patches(job.patches, name))
      if (!job.left_indices().contains(index)) job.left_out.push_back({index, "", ""});
  if (!job.patches.empty() && job.left_out.size() == job.patches.size())
    throw Error("usage", "--leave-out leaves out every patch");
}

}  // namespace

std::set<size_t> Job::left_indices() const {
  std::set<size_t> indices;
  for (const LeftOutPatch& left : left_out) indices.insert(left.patch);
  return indices;
}

std::vector<Patch> Job::rest() const {
  const std::set<size_t> left = left_indices();
  std::vector<Patch> kept;
  for (size_t i = 0; i < patches.size(); ++i)
    if (!left.contains(i)) kept.push_back(patches[i]);
  return kept;
}

std::string Job::text_of_rest() const {
  if (left_out.empty()) return text;
  const std::set<size_t> left = left_indices();
  std::string kept;
  for (size_t i = 0; i < texts.size(); ++i)
    if (!left.contains(i)) kept += texts[i];
  return kept;
}

Fixes Job::fixes_of_rest() const {
  const std::set<size_t> left = left_indices();
  std::vector<std::string> kept;
  for (size_t i = 0; i < texts.size(); ++i)
    if (!left.contains(i)) kept.push_back(texts[i]);
  return find_fixes(kept);
}

std::string Job::description_of_rest() const {
  if (!description.empty()) return description;
  for (const Patch& patch : rest())
    if (!patch.subject.empty()) return patch.subject;
  return "";
}

std::vector<PackageLeftOut> Job::describe_left_out() const {
  std::vector<LeftOutPatch> sorted = left_out;
  std::sort(sorted.begin(), sorted.end(),
            [](const LeftOutPatch& a, const LeftOutPatch& b) { return a.patch < b.patch; });
  std::vector<PackageLeftOut> result;
  for (const LeftOutPatch& left : sorted)
    result.push_back(
        {patches[left.patch].label, left.is_chosen() ? "chosen" : left.code, left.why});
  return result;
}

Job read_job(const Options& options, const fs::path& source, Progress& progress) {
  Job job;
  unsigned strip = strip_of(options.patch_options);
  for (const std::string& file : options.patches) {
    if (file == "-")
      add_text(job, {std::istreambuf_iterator<char>(std::cin), {}}, "standard input", strip);
    else
      add_text(job, read_text(file), file, strip);
  }
  if (!options.diffext.empty())
    add_text(job, diff_of_extension(source, options.diffext), "the change to *." + options.diffext,
             1);
  if (!options.git.empty())
    add_text(job, diff_of_commit(source, options.git, options.series),
             "the change to " + options.git, 1);
  tell_apart(job.patches);
  leave_out_chosen(options, job);
  job.id = options.id.empty() ? random_id() : options.id;
  job.description = options.description;
  job.lowers = read_lower_updates(options, progress);
  for (const Package& lower : job.lowers)
    if (lower.id == job.id)
      throw Error("usage", fmt::format("update {} cannot be on top of itself", job.id),
                  "give the new update another --id");
  return job;
}

}  // namespace ksplice
