#include "create/package/signing.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <string_view>

#include "create/package/signature.h"
#include "objdiff/base/error.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

constexpr int64_t Day = 24 * 60 * 60;
constexpr int64_t MostDays = 100 * 366;

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const char* last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

}  // namespace

void add_sign_options(CLI::App& app, SignRequest& request, const std::string& prefix,
                      const std::string& group) {
  auto add = [&](const std::string& name, std::string& value, const char* type, const char* text) {
    app.add_option(name, value, text)->type_name(type)->group(group);
  };
  add(prefix + "key", request.key, "FILE", "private key in PEM to sign the tarball with");
  add(prefix + "cert", request.certificate, "FILE",
      "its certificate in PEM (otherwise: in the key's file)");
  add("--expires", request.expires, "WHEN",
      "hosts refuse it from then on: 2027-01-31, 90d (days from now), or never");
  add("--generation", request.generation, "N",
      "hosts that applied it refuse what the same key signed with a lower one");
}

int64_t parse_expiry(const std::string& text, int64_t now) {
  if (text == "never") return 0;
  std::optional<int64_t> time = parse_utc(text);
  if (!time) time = parse_utc(text + "T00:00:00Z");
  if (!time && text.size() > 1 && text.back() == 'd') {
    const std::optional<uint64_t> days = parse_number({text.data(), text.size() - 1});
    if (days && *days <= static_cast<uint64_t>(MostDays))
      time = now + static_cast<int64_t>(*days) * Day;
  }
  if (!time)
    throw Error("usage", fmt::format("\"{}\" is no time for --expires", text),
                "as 2027-01-31, 2027-01-31T12:00:00Z, 90d or never");
  if (*time <= now)
    throw Error("usage", fmt::format("--expires={} is over already", text),
                "every host with a trust file would refuse the update");
  return *time;
}

Signing prepare_signing(const SignRequest& request) {
  Signing signing;
  if (request.key.empty()) return signing;
  if (!request.expires.empty()) signing.expires = parse_expiry(request.expires, now_utc());
  if (!request.generation.empty()) {
    signing.generation = parse_number(request.generation);
    if (!signing.generation)
      throw Error("usage", fmt::format("\"{}\" is no generation", request.generation),
                  "a number, from 0 on");
  }
  signing.sign = [key = read_signing_key(request.key, request.certificate)](
                     const std::string& manifest) { return sign_text(manifest, key); };
  return signing;
}

void set_terms(const Signing& signing, Package& package) {
  package.expires = signing.expires.value_or(package.expires);
  package.generation = signing.generation.value_or(package.generation);
}

}  // namespace ksplice
