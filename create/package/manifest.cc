// manifest.json: its text, its strict reader, and the rules that both directions check.
#include "create/package/manifest.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <set>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// What the kernel has room for: MODULE_NAME_LEN is 64 - sizeof(unsigned long), with the zero.
constexpr size_t MaxModuleName = 55;
constexpr size_t MaxText = 1024;
constexpr int MaxDepth = 16;

[[noreturn]] void refuse(const std::string& message) {
  throw Error("bad_tarball", message, "get the tarball again or create it again");
}

[[noreturn]] void fail(const std::string& message) {
  throw Error("bad_tarball", "manifest.json: " + message);
}

bool has_only(const std::string& text, const char* more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [more](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view(more).find(c) != std::string_view::npos;
  });
}

constexpr const char* UpperAndUnderscore = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

// One line that a terminal shows as it is.
void check_line(const std::string& text, const std::string& what) {
  if (text.size() > MaxText) fail(fmt::format("{} is longer than {} bytes", what, MaxText));
  for (unsigned char c : text)
    if (c < 0x20 || c == 0x7f) fail(fmt::format("{} has a control character", what));
}

void check_build_id(const std::string& build_id, const std::string& what) {
  if (!has_only(build_id, "") || build_id.size() > 128 ||
      build_id.find_first_not_of("0123456789abcdef") != std::string::npos)
    fail(fmt::format("{} has no usable build id", what));
}

void check_target(const PackageTarget& target, const std::string& id, const std::string& what) {
  if (!has_only(target.name, UpperAndUnderscore))
    fail(fmt::format("{} has the target name \"{}\"", what, target.name));
  if (target.module != "ksplice_" + id + "_" + target.name)
    fail(fmt::format("{}: target {} has the module name \"{}\"", what, target.name, target.module));
  if (target.module.size() > MaxModuleName)
    fail(fmt::format("{}: module name {} is longer than the {} characters that a kernel takes",
                     what, target.module, MaxModuleName));
  check_build_id(target.build_id, fmt::format("{}: target {}", what, target.name));
  for (const PackageFunction& function : target.functions) {
    check_line(function.name, what + ": a function");
    check_line(function.unit, what + ": a unit");
    if (function.status != "changed" && function.status != "new")
      fail(fmt::format("{}: function {} has the status \"{}\"", what, function.name,
                       function.status));
  }
  for (const std::string& name : target.added) check_line(name, what + ": an added name");
  for (const std::string& away : target.given_away) check_line(away, what + ": what is given away");
  for (const PackageLower& lower : target.stands_on) {
    if (!is_valid_id(lower.id) || lower.id == id ||
        lower.module != "ksplice_" + lower.id + "_" + target.name)
      fail(fmt::format("{}: target {} stands on update \"{}\" with module \"{}\"", what,
                       target.name, lower.id, lower.module));
    check_build_id(lower.build_id, fmt::format("{}: update {}", what, lower.id));
  }
  if (target.cold_file.empty()) return;
  check_build_id(target.cold_build_id, fmt::format("{}: the whole module {}", what, target.name));
  if (target.name == "vmlinux") fail(what + ": vmlinux cannot be a module");
}

const Json& get(const Json& object, const char* key, Json::value_t type, const std::string& what) {
  if (!object.is_object()) fail(what + " is not an object");
  auto found = object.find(key);
  if (found == object.end() || found->type() != type)
    fail(fmt::format("{} has no usable \"{}\"", what, key));
  return *found;
}

std::string get_text(const Json& object, const char* key, const std::string& what) {
  return get(object, key, Json::value_t::string, what).get<std::string>();
}

uint64_t get_number(const Json& object, const char* key, const std::string& what) {
  return get(object, key, Json::value_t::number_unsigned, what).get<uint64_t>();
}

const Json& get_list(const Json& object, const char* key, const std::string& what) {
  return get(object, key, Json::value_t::array, what);
}

int64_t get_time(const Json& object, const char* key, const std::string& what) {
  const std::optional<int64_t> time = parse_utc(get_text(object, key, what));
  if (!time || *time <= 0) fail(fmt::format("{} has no usable \"{}\"", what, key));
  return *time;
}

// A list of lines, which older tarballs do not have.
std::vector<std::string> get_lines(const Json& object, const char* key, const std::string& what) {
  std::vector<std::string> lines;
  if (!object.contains(key)) return lines;
  for (const Json& entry : get_list(object, key, what)) {
    if (!entry.is_string()) fail(fmt::format("{} has a \"{}\" that is not a string", what, key));
    lines.push_back(entry.get<std::string>());
  }
  return lines;
}

PackageTarget read_target(const Json& object, const std::string& kernel) {
  std::string what = kernel + ": a target";
  PackageTarget target;
  target.name = get_text(object, "name", what);
  target.module = get_text(object, "module", what);
  target.file = get_text(object, "file", what);
  target.final = get_text(object, "final", what);
  target.build_id = get_text(object, "build_id", what);
  for (const Json& entry : get_list(object, "functions", what)) {
    PackageFunction function;
    function.name = get_text(entry, "name", what + "'s function");
    function.unit = get_text(entry, "unit", what + "'s function");
    function.status = get_text(entry, "status", what + "'s function");
    function.reasons = get_list(entry, "reasons", what + "'s function");
    target.functions.push_back(std::move(function));
  }
  for (const Json& entry : get_list(object, "added", what)) {
    if (!entry.is_string()) fail(what + " has an added name that is not a string");
    target.added.push_back(entry.get<std::string>());
  }
  if (object.contains("cold")) {
    const Json& cold = get(object, "cold", Json::value_t::object, what);
    target.cold_file = get_text(cold, "file", what + "'s whole module");
    target.cold_build_id = get_text(cold, "build_id", what + "'s whole module");
  }
  if (object.contains("stands_on"))
    for (const Json& entry : get_list(object, "stands_on", what)) {
      PackageLower lower;
      lower.id = get_text(entry, "id", what + "'s lower update");
      lower.module = get_text(entry, "module", what + "'s lower update");
      lower.build_id = get_text(entry, "build_id", what + "'s lower update");
      target.stands_on.push_back(std::move(lower));
    }
  target.uses = get_lines(object, "uses", what);
  target.given_away = get_lines(object, "given_away", what);
  if (object.contains("kept"))
    target.kept = get(object, "kept", Json::value_t::boolean, what).get<bool>();
  return target;
}

PackageKernel read_kernel(const Json& object) {
  PackageKernel kernel;
  kernel.release = get_text(object, "release", "a kernel");
  std::string what = "kernel " + kernel.release;
  kernel.build_id = get_text(object, "build_id", what);
  kernel.arch = get_text(object, "arch", what);
  const Json& core = get(object, "core", Json::value_t::object, what);
  kernel.core_file = get_text(core, "file", what + ": the core");
  kernel.core_final = get_text(core, "final", what + ": the core");
  for (const Json& target : get_list(object, "targets", what))
    kernel.targets.push_back(read_target(target, what));
  return kernel;
}

FileEntry read_file_entry(const Json& object, uint64_t format) {
  FileEntry file;
  file.path = get_text(object, "path", "a file");
  file.size = get_number(object, "size", "a file");
  file.sha256 = get_text(object, "sha256", "a file");
  if (!object.contains("delta")) return file;
  std::string what = fmt::format("the delta of \"{}\"", shown(file.path));
  if (format < 2) fail(what + " is in a tarball of format 1, which has none");
  const Json& delta = get(object, "delta", Json::value_t::object, what);
  file.base = get_text(delta, "base", what);
  file.delta_size = get_number(delta, "size", what);
  file.delta_sha256 = get_text(delta, "sha256", what);
  if (file.base.empty()) fail(what + " has no usable \"base\"");
  return file;
}

OrderedJson write_kernel(const PackageKernel& kernel) {
  OrderedJson targets = OrderedJson::array();
  for (const PackageTarget& target : kernel.targets) {
    OrderedJson functions = OrderedJson::array();
    for (const PackageFunction& function : target.functions)
      functions.push_back({{"name", function.name},
                           {"unit", function.unit},
                           {"status", function.status},
                           {"reasons", function.reasons}});
    targets.push_back({{"name", target.name},
                       {"module", target.module},
                       {"file", target.file},
                       {"final", target.final},
                       {"build_id", target.build_id},
                       {"functions", std::move(functions)},
                       {"added", target.added}});
    if (!target.cold_file.empty())
      targets.back()["cold"] = {{"file", target.cold_file}, {"build_id", target.cold_build_id}};
    for (const PackageLower& lower : target.stands_on)
      targets.back()["stands_on"].push_back(
          {{"id", lower.id}, {"module", lower.module}, {"build_id", lower.build_id}});
    if (!target.uses.empty()) targets.back()["uses"] = target.uses;
    if (!target.given_away.empty()) targets.back()["given_away"] = target.given_away;
    if (target.kept) targets.back()["kept"] = true;
  }
  return {{"release", kernel.release},
          {"build_id", kernel.build_id},
          {"arch", kernel.arch},
          {"core", {{"file", kernel.core_file}, {"final", kernel.core_final}}},
          {"targets", std::move(targets)}};
}

}  // namespace

// Names from outside go into messages only with their control characters made visible.
std::string shown(std::string_view name) {
  std::string result;
  for (unsigned char c : name.substr(0, 200))
    result += c < 0x20 || c >= 0x7f ? fmt::format("\\x{:02x}", c) : std::string(1, c);
  return result;
}

std::string sha256(const std::vector<uint8_t>& content) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(content.data(), content.size(), digest, &length, EVP_sha256(), nullptr) != 1)
    throw Error("failed", "libcrypto cannot compute SHA-256");
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

// Splits "ksplice-ID/rest" after checking that the name cannot lead anywhere else.
std::pair<std::string, std::string> split_name(const std::string& name) {
  if (name.empty() || name[0] == '/')
    refuse(fmt::format("entry \"{}\": absolute path", shown(name)));
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = std::min(name.find('/', begin), name.size());
    std::string_view part = std::string_view(name).substr(begin, end - begin);
    if (part == "..") refuse(fmt::format("entry \"{}\": path with \"..\"", shown(name)));
    if ((part.empty() && end != name.size()) || part == ".")
      refuse(fmt::format("entry \"{}\": path that is not plain", shown(name)));
    begin = end + 1;
  }
  for (unsigned char c : name)
    if (c < 0x20 || c >= 0x7f)
      refuse(fmt::format("entry \"{}\": path that is not plain", shown(name)));
  size_t slash = name.find('/');
  if (slash == std::string::npos) return {name, ""};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

std::string stored_name(const FileEntry& file) {
  return file.base.empty() ? file.path : file.path + ".vcdiff";
}

bool is_cve(const std::string& text) {
  const std::string digits = "0123456789";
  return text.size() >= 13 && text.size() <= 16 && text.starts_with("CVE-") && text[8] == '-' &&
         text.find_first_not_of(digits, 9) == std::string::npos &&
         text.substr(4, 4).find_first_not_of(digits) == std::string::npos;
}

bool is_valid_id(const std::string& id) { return has_only(id, "_") && id.size() <= 40; }

void check_package(const Package& package) {
  if (!is_valid_id(package.id)) fail(fmt::format("\"{}\" is not an update id", package.id));
  check_line(package.description, "the description");
  check_line(package.created, "the time of creation");
  check_line(package.tool, "the tool's name");
  for (const std::string& name : package.allow_busy)
    if (!has_only(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_."))
      fail(fmt::format("\"{}\" is not the name of a function", shown(name)));
  for (const std::string& note : package.notes) check_line(note, "a note");
  for (const std::string& cve : package.cves)
    if (!is_cve(cve)) fail(fmt::format("\"{}\" is no CVE id", shown(cve)));
  for (const std::string& commit : package.upstream_commits)
    if (commit.size() != 40 || commit.find_first_not_of("0123456789abcdef") != std::string::npos)
      fail(fmt::format("\"{}\" is no commit", shown(commit)));
  for (const PackageLeftOut& left : package.left_out_patches) {
    check_line(left.patch, "the name of a patch that is left out");
    check_line(left.why, "why a patch is left out");
    if (left.patch.empty() || !has_only(left.code, "_"))
      fail(fmt::format("\"{}\" is no code for which a patch can be left out", shown(left.code)));
  }
  if (package.kernels.empty()) fail("no kernels");
  std::set<std::string> build_ids;
  for (const PackageKernel& kernel : package.kernels) {
    check_line(kernel.release, "a kernel's release");
    std::string what = "kernel " + kernel.release;
    check_build_id(kernel.build_id, what);
    if (!build_ids.insert(kernel.build_id).second)
      fail(fmt::format("{}: build id {} is there twice", what, kernel.build_id));
    if (kernel.arch != ArchName)
      fail(fmt::format("{} is for \"{}\", this tool knows {}", what, kernel.arch, ArchName));
    if (kernel.targets.empty()) fail(what + " has no targets");
    std::vector<std::string> needed = {kernel.core_file, kernel.core_final};
    std::set<std::string> names, modules;
    for (const PackageTarget& target : kernel.targets) {
      check_target(target, package.id, what);
      for (const std::string& used : target.uses)
        if (!modules.contains(used))
          fail(fmt::format("{}: target {} uses \"{}\", which no target before it has", what,
                           target.name, shown(used)));
      modules.insert(target.module);
      if (!names.insert(target.name).second)
        fail(fmt::format("{}: target {} is there twice", what, target.name));
      needed.insert(needed.end(), {target.file, target.final});
      if (!target.cold_file.empty()) needed.push_back(target.cold_file);
    }
    for (const std::string& path : needed)
      if (!package.files.contains(path))
        fail(fmt::format("{} names the file \"{}\", which is not there", what, path));
  }
  if (!package.files.contains("patch")) fail("the file \"patch\" is not there");
}

std::string write_manifest(const Package& package, const std::vector<FileEntry>& files,
                           bool is_signed) {
  OrderedJson kernels = OrderedJson::array();
  for (const PackageKernel& kernel : package.kernels) kernels.push_back(write_kernel(kernel));
  OrderedJson list = OrderedJson::array();
  int format = is_signed ? SignedFormat : 1;
  for (const FileEntry& file : files) {
    list.push_back({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}});
    if (file.base.empty()) continue;
    list.back()["delta"] = {
        {"base", file.base}, {"size", file.delta_size}, {"sha256", file.delta_sha256}};
    format = std::max(format, 2);
  }
  OrderedJson manifest = {
      {"format", format},           {"id", package.id},     {"description", package.description},
      {"created", package.created}, {"tool", package.tool}, {"kernels", std::move(kernels)},
      {"files", std::move(list)}};
  if (package.generation != 0) manifest["generation"] = package.generation;
  if (package.expires != 0) manifest["expires"] = utc_text(package.expires);
  if (!package.cves.empty()) manifest["cves"] = package.cves;
  if (!package.upstream_commits.empty()) manifest["upstream_commits"] = package.upstream_commits;
  if (!package.allow_busy.empty()) manifest["allow_busy"] = package.allow_busy;
  if (!package.notes.empty()) manifest["notes"] = package.notes;
  for (const PackageLeftOut& left : package.left_out_patches)
    manifest["left_out_patches"].push_back(
        {{"patch", left.patch}, {"code", left.code}, {"why", left.why}});
  try {
    return manifest.dump(1) + "\n";
  } catch (const Json::exception&) {
    fail("a name or the description is not UTF-8");
  }
}

Package read_manifest(const std::string& text, std::vector<FileEntry>& files, uint64_t& format) {
  Json manifest;
  try {
    manifest = Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
      if (depth > MaxDepth) fail("nested too deeply");
      return true;
    });
  } catch (const Json::exception& error) {
    fail(error.what());
  }
  format = get_number(manifest, "format", "the manifest");
  if (format < 1 || format > PackageFormat)
    throw Error(
        "bad_tarball",
        fmt::format("manifest.json: format {}, this tool knows 1 to {}", format, PackageFormat),
        "use the ksplice tools of the version that made the tarball");
  Package package;
  const std::string what = "the manifest";
  package.id = get_text(manifest, "id", what);
  package.description = get_text(manifest, "description", what);
  package.created = get_text(manifest, "created", what);
  package.tool = get_text(manifest, "tool", what);
  if (manifest.contains("generation"))
    package.generation = get_number(manifest, "generation", what);
  if (manifest.contains("expires")) package.expires = get_time(manifest, "expires", what);
  package.cves = get_lines(manifest, "cves", what);
  package.upstream_commits = get_lines(manifest, "upstream_commits", what);
  package.allow_busy = get_lines(manifest, "allow_busy", what);
  package.notes = get_lines(manifest, "notes", what);
  if (manifest.contains("left_out_patches"))
    for (const Json& entry : get_list(manifest, "left_out_patches", what)) {
      const std::string patch = "a patch that is left out";
      package.left_out_patches.push_back({get_text(entry, "patch", patch),
                                          get_text(entry, "code", patch),
                                          get_text(entry, "why", patch)});
    }
  for (const Json& kernel : get_list(manifest, "kernels", what))
    package.kernels.push_back(read_kernel(kernel));
  for (const Json& entry : get_list(manifest, "files", what))
    files.push_back(read_file_entry(entry, format));
  return package;
}

}  // namespace ksplice
