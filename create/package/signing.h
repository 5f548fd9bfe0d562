// What a signer asks for: of ksplice-create and of ksplice-sign.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "create/package/package.h"

namespace CLI {
class App;
}

namespace ksplice {

struct SignRequest {
  std::string key, certificate;  // PEM files; without certificate the key's file holds it
  std::string expires;           // as given; empty: as it is in the tarball
  std::string generation;        // the same
};

// Adds PREFIXkey, PREFIXcert, --expires and --generation to that group of --help.
void add_sign_options(CLI::App& app, SignRequest& request, const std::string& prefix,
                      const std::string& group);

// "never" (0), "2027-01-31", a time as in the manifest, or "90d" from now on. Throws
// Error("usage"), also for a time that is over.
int64_t parse_expiry(const std::string& text, int64_t now);

struct Signing {
  Sign sign;  // empty if nothing is to be signed
  std::optional<int64_t> expires;
  std::optional<uint64_t> generation;
};

// Reads the key and the terms. Throws Error: bad_key, usage.
Signing prepare_signing(const SignRequest& request);

// Gives package the expiry and the generation that were asked for.
void set_terms(const Signing& signing, Package& package);

}  // namespace ksplice
