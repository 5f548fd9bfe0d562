#include <fmt/core.h>

#include <algorithm>

#include "create/patch.h"
#include "objdiff/base/error.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

std::string diff_of_extension(const fs::path& source, const std::string& extension) {
  std::string suffix = extension.front() == '.' ? extension : "." + extension;
  std::vector<std::string> files;
  auto skip = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(source, skip); it != fs::end(it); ++it) {
    check_interrupted();
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

namespace {

CommandResult run_git(const fs::path& source, const std::vector<std::string>& words) {
  // Whatever the user's settings are, the text must be what parse_patch reads.
  std::vector<std::string> argv = {"git",
                                   "-c",
                                   "core.quotePath=true",
                                   "-c",
                                   "diff.noprefix=false",
                                   "-c",
                                   "diff.mnemonicPrefix=false",
                                   "-c",
                                   "diff.submodule=short",
                                   "-c",
                                   "log.showSignature=false"};
  argv.insert(argv.end(), words.begin(), words.end());
  CommandOptions options;
  options.directory = source;
  options.env = {{"GIT_DIR", ""},        {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""},
                 {"GIT_PAGER", "cat"},   {"GIT_DIFF_OPTS", ""}, {"GIT_EXTERNAL_DIFF", ""},
                 {"GIT_OBJECT_DIR", ""}, {"GIT_NAMESPACE", ""}, {"GIT_PREFIX", ""},
                 {"GIT_COMMON_DIR", ""}};
  return run_command(argv, options);
}

// A series is the same as the whole difference only along one line of commits.
void check_series(const fs::path& source, const std::string& commit) {
  bool ahead = run_git(source, {"merge-base", "--is-ancestor", "HEAD", commit}).status == 0;
  CommandResult merges = run_git(source, {"rev-list", "--merges", "-n1", "HEAD.." + commit});
  if (ahead && merges.output.empty()) return;
  throw Error("bad_patch",
              fmt::format("{} is not a series of single commits on top of HEAD of {}", commit,
                          source.string()),
              "leave --series out: the whole difference can still be taken");
}

}  // namespace

std::string diff_of_commit(const fs::path& source, const std::string& commit, bool series) {
  if (run_git(source,
              {"rev-parse", "--verify", "--quiet", "--end-of-options", commit + "^{commit}"})
          .status != 0) {
    CommandResult why = run_git(source, {"rev-parse", "--show-toplevel"});
    throw Error("bad_patch",
                fmt::format("git does not know {} in {}{}", commit, source.string(),
                            why.status != 0 ? ":\n" + why.output : ""),
                "SOURCE must be a git tree that has this commit; its HEAD is the running kernel");
  }
  if (series) check_series(source, commit);
  std::vector<std::string> words = {"diff",       "--no-color", "--no-ext-diff", "--no-textconv",
                                    "--relative", "HEAD",       commit,          "--"};
  if (series)
    words = {"format-patch",  "--stdout",   "--no-signature", "--no-color",
             "--no-ext-diff", "--relative", "HEAD.." + commit};
  CommandResult run = run_git(source, words);
  if (run.status != 0)
    throw Error("bad_patch",
                fmt::format("git cannot tell the change to {}: {}", commit, run.output));
  if (run.output.empty())
    throw Error("no_change",
                fmt::format("HEAD of {} and {} have the same content", source.string(), commit));
  if (series) return run.output;
  std::string format = "--format=commit %H%nSubject: %s%n";
  return run_git(source, {"log", "--no-color", format, "HEAD.." + commit, "--"}).output +
         run.output;
}

}  // namespace ksplice
