#include <fmt/core.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "create/package/openssl.h"
#include "create/package/signature.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

constexpr const char* PinVariable = "KSPLICE_SIGN_PIN";

// The passphrase of the variable, or what OpenSSL asks for at the terminal.
int get_pin(char* buffer, int size, int writing, void* prompt) {
  const char* pin = std::getenv(PinVariable);
  if (pin == nullptr) return PEM_def_callback(buffer, size, writing, prompt);
  const std::string_view text(pin);
  if (text.size() > static_cast<size_t>(size)) return -1;
  std::memcpy(buffer, text.data(), text.size());
  return static_cast<int>(text.size());
}

void check_private(const std::string& file) {
  struct stat st = {};
  if (::stat(file.c_str(), &st) != 0) throw_errno("cannot read the key", file);
  if ((st.st_mode & (S_IWGRP | S_IRWXO)) != 0)
    throw Error("bad_key",
                fmt::format("the key {} is open to others (mode {:04o})", file,
                            static_cast<unsigned>(st.st_mode) & 07777),
                "chmod 600 it; and make a new key, if others may have read it");
}

}  // namespace

SigningKey read_signing_key(const std::string& key_file, const std::string& certificate_file) {
  check_private(key_file);
  const std::string text = read_text(key_file);
  SigningKey key;
  Bio bio = read_bio(text);
  key.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, get_pin, nullptr), EVP_PKEY_free);
  if (!key.key)
    throw Error("bad_key",
                fmt::format("{}: no private key in PEM can be read from it: {}", key_file,
                            take_openssl_reason()),
                fmt::format("its passphrase, if it has one, can be given in {}", PinVariable));
  const std::string& source = certificate_file.empty() ? key_file : certificate_file;
  const std::vector<Certificate> certificates =
      read_certificates(certificate_file.empty() ? text : read_text(source), source, "bad_key");
  auto own = std::find_if(certificates.begin(), certificates.end(), [&](const Certificate& each) {
    return X509_check_private_key(each.get(), key.key.get()) == 1;
  });
  take_openssl_reason();
  if (own == certificates.end())
    throw Error("bad_key", fmt::format("{} holds no certificate of the key {}", source, key_file));
  key.certificate = *own;
  const Signer signer = describe(key.certificate);
  const int64_t now = now_utc();
  if (now < signer.not_before || now > signer.not_after)
    throw Error("bad_key",
                fmt::format("the certificate {} is valid from {} to {} only", signer.name,
                            utc_text(signer.not_before), utc_text(signer.not_after)),
                "hosts would refuse what it signs");
  return key;
}

std::vector<uint8_t> sign_text(const std::string& text, const SigningKey& key) {
  constexpr unsigned Flags = CMS_DETACHED | CMS_BINARY | CMS_NOSMIMECAP | CMS_PARTIAL;
  Bio content = read_bio(text);
  std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)> cms(
      CMS_sign(nullptr, nullptr, nullptr, content.get(), Flags), CMS_ContentInfo_free);
  const bool is_made = cms &&
                       CMS_add1_signer(cms.get(), key.certificate.get(), key.key.get(),
                                       EVP_sha256(), Flags) != nullptr &&
                       CMS_final(cms.get(), content.get(), nullptr, Flags) == 1;
  unsigned char* der = nullptr;
  const int size = is_made ? i2d_CMS_ContentInfo(cms.get(), &der) : -1;
  if (size <= 0)
    throw Error("bad_key", fmt::format("{} cannot sign: {}", describe(key.certificate).name,
                                       take_openssl_reason()));
  std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(
      der, [](unsigned char* memory) { OPENSSL_free(memory); });
  return {der, der + size};
}

}  // namespace ksplice
