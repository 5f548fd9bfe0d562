#include "apply/trust.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "create/package/manifest.h"
#include "objdiff/base/file.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr const char* RevokedFile = "/etc/ksplice/revoked";
constexpr const char* SeenFile = "/var/lib/ksplice/trust.json";
constexpr size_t MaxFile = 4 << 20;

[[noreturn]] void fail(const fs::path& path, const std::string& what,
                       const std::string& hint = "") {
  throw Error("bad_trust", fmt::format("{} {}", path.string(), what), hint);
}

// Whoever can write to it decides what this host applies.
void check_owner(const struct stat& st, const fs::path& path) {
  const std::string hint = "chown root and chmod go-w it, and look whether it holds what it should";
  if (st.st_uid != 0 && st.st_uid != ::geteuid())
    fail(path, fmt::format("belongs to user {}, not to root", st.st_uid), hint);
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    fail(path, fmt::format("can be written by others than root (mode {:04o})", st.st_mode & 07777u),
         hint);
}

// The text of a file that nobody but root can have written; nothing if there is none.
std::optional<std::string> read_owned(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0 && errno == ENOENT) return std::nullopt;
  if (fd.get() < 0)
    fail(path, errno == ELOOP ? "is a link, and must be a file"
                              : fmt::format("cannot be read: {}", std::strerror(errno)));
  struct stat st = {}, folder = {};
  if (::fstat(fd.get(), &st) != 0 || ::stat(path.parent_path().c_str(), &folder) != 0)
    fail(path, fmt::format("cannot be judged: {}", std::strerror(errno)));
  if (!S_ISREG(st.st_mode)) fail(path, "is no plain file");
  check_owner(st, path);
  check_owner(folder, path.parent_path());
  std::string text(MaxFile + 1, '\0');
  size_t size = 0;
  for (ssize_t got = 1; got != 0 && size < text.size(); size += static_cast<size_t>(got))
    if ((got = ::read(fd.get(), text.data() + size, text.size() - size)) < 0)
      fail(path, fmt::format("cannot be read: {}", std::strerror(errno)));
  if (size > MaxFile) fail(path, "is too large");
  text.resize(size);
  return text;
}

bool is_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// A line that is not understood might be the one that matters.
std::set<std::pair<std::string, std::string>> read_revoked(const fs::path& path) {
  std::set<std::pair<std::string, std::string>> revoked;
  std::istringstream lines(read_owned(path).value_or(""));
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string kind, value, more;
    if (!(words >> kind)) continue;
    words >> value;
    const bool is_good = kind == "update"                      ? is_valid_id(value)
                         : kind == "manifest" || kind == "key" ? is_digest(value)
                                                               : false;
    if (!is_good || words >> more)
      fail(path, fmt::format("line {} is not understood", number),
           "a line is \"update ID\", \"manifest SHA256\" or \"key SHA256\", in lower-case hex");
    revoked.emplace(kind, value);
  }
  return revoked;
}

std::map<std::string, uint64_t> parse_seen(const std::string& text, const fs::path& path) {
  const nlohmann::json seen = nlohmann::json::parse(text, nullptr, false);
  const bool has_list =
      seen.is_object() && seen.contains("generations") && seen["generations"].is_object();
  std::map<std::string, uint64_t> generations;
  if (has_list)
    for (const auto& [key, value] : seen["generations"].items())
      if (value.is_number_unsigned()) generations[key] = value.get<uint64_t>();
  if (!has_list || generations.size() != seen["generations"].size())
    fail(path, "is damaged", "removing it makes the host forget which generations it has seen");
  return generations;
}

Refusal refusal(const std::string& code, const Package& package, const std::string& message,
                const std::string& expected, const std::string& found, const std::string& advice) {
  Refusal refusal;
  refusal.code = code;
  refusal.object = package.id;
  refusal.message = message;
  refusal.expected = expected;
  refusal.found = found;
  refusal.advice = advice;
  return refusal;
}

std::string names_of(const std::vector<Certificate>& certificates) {
  std::string names;
  for (const Certificate& certificate : certificates)
    names += (names.empty() ? "" : "\n") + describe(certificate).name;
  return names;
}

std::optional<Refusal> judge_signature(const Trust& trust, const Package& package, Signer& signer) {
  const std::string names = names_of(trust.certificates);
  if (package.signature.empty())
    return refusal(
        "not_signed", package, "the tarball is not signed, and this host trusts only some", names,
        "no signature", fmt::format("sign it with ksplice-sign, by a key of {}", TrustFile));
  Verification found = verify_signature(package.manifest, package.signature, trust.certificates);
  signer = found.signer;
  if (found.verdict == Verdict::Stranger)
    return refusal("unknown_signer", package, "this host does not trust the signer of the tarball",
                   names, claimed_signer(package.signature),
                   fmt::format("if it should, add its certificate to {}", TrustFile));
  if (found.verdict == Verdict::Bad)
    return refusal("bad_signature", package,
                   "the tarball was altered after it was signed, or its signature was", "",
                   found.reason, "get the tarball again, and look where it was altered");
  return std::nullopt;
}

std::optional<Refusal> judge_revoked(const Trust& trust, const Package& package,
                                     const Signer& signer) {
  const std::vector<uint8_t> manifest(package.manifest.begin(), package.manifest.end());
  for (const auto& [kind, value] : {std::pair<std::string, std::string>{"update", package.id},
                                    {"manifest", sha256(manifest)},
                                    {"key", signer.fingerprint}})
    if (trust.revoked.contains({kind, value}))
      return refusal("revoked", package, "the update, or the key that signed it, is revoked", "",
                     kind + " " + value, fmt::format("{} says so", RevokedFile));
  return std::nullopt;
}

std::optional<Refusal> judge_time(const Package& package, const Signer& signer, int64_t now) {
  now = std::max(now, parse_utc(package.created).value_or(0));
  const std::string found = "it is " + utc_text(now);
  if (package.expires != 0 && now >= package.expires)
    return refusal("expired", package, "the update has expired",
                   "before " + utc_text(package.expires), found, "get a newer one");
  if (now > signer.not_after || now < signer.not_before)
    return refusal("expired", package,
                   fmt::format("the certificate {} is not valid at this time", signer.name),
                   fmt::format("{} to {}", utc_text(signer.not_before), utc_text(signer.not_after)),
                   found, "look at the clock, or get the update signed with another key");
  return std::nullopt;
}

}  // namespace

std::optional<Trust> read_trust(const Host& host) {
  const fs::path file = host.path(TrustFile);
  const std::optional<std::string> pem = read_owned(file);
  if (!pem) return std::nullopt;
  Trust trust;
  trust.certificates = read_certificates(*pem, file.string(), "bad_trust");
  trust.revoked = read_revoked(host.path(RevokedFile));
  const fs::path seen = host.path(SeenFile);
  if (std::optional<std::string> text = read_owned(seen))
    trust.generations = parse_seen(*text, seen);
  return trust;
}

TrustVerdict judge_trust(const Trust& trust, const Package& package, Occasion occasion,
                         int64_t now) {
  TrustVerdict verdict;
  verdict.refusal = judge_signature(trust, package, verdict.signer);
  if (!verdict.refusal) verdict.refusal = judge_revoked(trust, package, verdict.signer);
  if (verdict.refusal || occasion == Occasion::LateTarget) return verdict;
  verdict.refusal = judge_time(package, verdict.signer, now);
  if (occasion == Occasion::Boot) return verdict;
  auto seen = trust.generations.find(verdict.signer.fingerprint);
  if (!verdict.refusal && seen != trust.generations.end() && package.generation < seen->second)
    verdict.refusal =
        refusal("old_generation", package,
                fmt::format("an update of a higher generation of {} was applied here before",
                            verdict.signer.name),
                fmt::format("generation {} or higher", seen->second),
                fmt::format("generation {}", package.generation),
                "get the update as its maker signs it now");
  return verdict;
}

std::optional<Signer> check_trust(const Host& host, const Package& package, Occasion occasion) {
  const std::optional<Trust> trust = read_trust(host);
  if (!trust) return std::nullopt;
  const TrustVerdict verdict = judge_trust(*trust, package, occasion, now_utc());
  if (verdict.refusal) throw Refused({*verdict.refusal});
  return verdict.signer;
}

SeenGeneration::SeenGeneration(const Host& host, const Package& package,
                               const std::optional<Signer>& signer)
    : file_(host.path(SeenFile)) {
  if (!signer) return;
  before_ = read_owned(file_);
  std::map<std::string, uint64_t> generations;
  if (before_) generations = parse_seen(*before_, file_);
  if (package.generation <= generations[signer->fingerprint]) return;
  generations[signer->fingerprint] = package.generation;
  try {
    fs::create_directories(file_.parent_path());
    write_file(file_, nlohmann::json({{"generations", generations}}).dump(2) + "\n");
  } catch (const std::exception& error) {
    throw Error(
        "bad_trust",
        fmt::format("cannot note generation {} as seen: {}", package.generation, error.what()),
        "without the note an older update could be applied later");
  }
  is_kept_ = false;
}

SeenGeneration::~SeenGeneration() {
  if (is_kept_) return;
  try {
    std::error_code ignored;
    if (before_)
      write_file(file_, *before_);
    else if (fs::remove(file_))
      fs::remove(file_.parent_path(), ignored);  // if it is empty
  } catch (const std::exception&) {
    // Then the host refuses what is older than what it could not apply.
  }
}

}  // namespace ksplice
