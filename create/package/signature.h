// Signatures over manifest.json: CMS (RFC 5652) in DER, detached, one signer, by OpenSSL.
//
// Why CMS: libcrypto is linked by the tools of the host already, for SHA-256; it is what the
// kernel's own sign-file writes, so that the key that a site has for modules can sign updates as
// well, out of a smart card or an HSM too; and `openssl cms` makes and checks the same signature by
// hand (ksplice-sign(1)). signify's and minisign's keys are simpler, but they know neither dates
// nor cards, and each would be one more library on the host.
//
// What is not used of it: chains. A signature is good if it is by one of the certificates that are
// given, each of which is trusted by itself; certificates in the signature only serve to name it.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ksplice {

struct Signer {
  std::string name;         // the certificate's subject, in one line
  std::string fingerprint;  // SHA-256 of the certificate, lower-case hex
  int64_t not_before = 0, not_after = 0;
};

using Certificate = std::shared_ptr<X509>;

// The certificates of a PEM text. Throws Error(code), saying what is wrong with source: there is
// none, something in it cannot be read, or a key is weaker than 112 bits.
std::vector<Certificate> read_certificates(const std::string& pem, const std::string& source,
                                           const std::string& code);

Signer describe(const Certificate& certificate);

enum class Verdict {
  Good,
  Stranger,  // no certificate given is the signer's
  Bad,       // not a signature of this text, or of a kind that is not taken
};

struct Verification {
  Verdict verdict = Verdict::Bad;
  Signer signer;       // if it is good
  std::string reason;  // otherwise, a sentence
};

Verification verify_signature(const std::string& text, const std::vector<uint8_t>& signature,
                              const std::vector<Certificate>& trusted);

// Whom the signature itself names, unproven: "CN=...", or "issuer ..., serial ...".
std::string claimed_signer(const std::vector<uint8_t>& signature);

// A private key with its certificate.
struct SigningKey {
  std::shared_ptr<EVP_PKEY> key;
  Certificate certificate;
};

// From PEM files; without certificate_file the key's file holds the certificate, too. A passphrase
// is taken from the variable KSPLICE_SIGN_PIN, or asked for. Throws Error("bad_key"), also where
// the key's file is open to others, the two do not belong together, or the certificate is not valid
// now.
SigningKey read_signing_key(const std::string& key_file, const std::string& certificate_file);

std::vector<uint8_t> sign_text(const std::string& text, const SigningKey& key);

}  // namespace ksplice
