#include "create/package/signature.h"

#include <fmt/core.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>

#include "create/package/manifest.h"
#include "create/package/openssl.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace {

constexpr int LeastBits = 112;  // of security: RSA with 2048
constexpr size_t LongestSignature = 64 << 10;

using Cms = std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)>;

std::string name_text(const X509_NAME* name) {
  Bio bio = new_bio();
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return shown(bio_text(bio));
}

int64_t seconds_of(const ASN1_TIME* time) {
  struct tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return ::timegm(&parts);
}

// With nothing behind it.
Cms parse(const std::vector<uint8_t>& signature) {
  const uint8_t* at = signature.data();
  if (signature.size() > LongestSignature) return {nullptr, CMS_ContentInfo_free};
  Cms cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(signature.size())),
          CMS_ContentInfo_free);
  if (cms && (at != signature.data() + signature.size() ||
              OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed))
    cms.reset();
  return cms;
}

// Null unless there is exactly one: a list without signers would be proven by nothing.
CMS_SignerInfo* only_signer(CMS_ContentInfo* cms) {
  STACK_OF(CMS_SignerInfo)* infos = CMS_get0_SignerInfos(cms);
  return infos != nullptr && sk_CMS_SignerInfo_num(infos) == 1 ? sk_CMS_SignerInfo_value(infos, 0)
                                                               : nullptr;
}

bool has_strong_digest(CMS_SignerInfo* info) {
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(info, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, digest);
  const int nid = OBJ_obj2nid(object);
  return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

bool is_signed_by(CMS_ContentInfo* cms, const std::string& text, const Certificate& certificate) {
  std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> only(
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
  if (!only || sk_X509_push(only.get(), certificate.get()) <= 0) throw std::bad_alloc();
  Bio content = read_bio(text);
  return CMS_verify(cms, only.get(), nullptr, content.get(), nullptr,
                    CMS_BINARY | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY) == 1;
}

}  // namespace

std::vector<Certificate> read_certificates(const std::string& pem, const std::string& source,
                                           const std::string& code) {
  Bio bio = read_bio(pem);
  std::vector<Certificate> certificates;
  ERR_clear_error();
  while (X509* found = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(found, X509_free);
    const EVP_PKEY* key = X509_get0_pubkey(found);
    if (key == nullptr || EVP_PKEY_get_security_bits(key) < LeastBits)
      throw Error(code,
                  fmt::format("{}: the key of {} is weaker than {} bits", source,
                              describe(certificates.back()).name, LeastBits),
                  "use RSA with 2048 bits or more, or an elliptic curve with 256");
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = take_openssl_reason();
  if (!at_end)
    throw Error(code, fmt::format("{}: certificate {} cannot be read: {}", source,
                                  certificates.size() + 1, reason));
  if (certificates.empty())
    throw Error(code, fmt::format("{} holds no certificate in PEM", source));
  return certificates;
}

Signer describe(const Certificate& certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (X509_digest(certificate.get(), EVP_sha256(), digest, &length) != 1) throw std::bad_alloc();
  Signer signer;
  for (unsigned i = 0; i < length; ++i) signer.fingerprint += fmt::format("{:02x}", digest[i]);
  signer.name = name_text(X509_get_subject_name(certificate.get()));
  signer.not_before = seconds_of(X509_get0_notBefore(certificate.get()));
  signer.not_after = seconds_of(X509_get0_notAfter(certificate.get()));
  return signer;
}

Verification verify_signature(const std::string& text, const std::vector<uint8_t>& signature,
                              const std::vector<Certificate>& trusted) {
  Cms cms = parse(signature);
  if (!cms) return {Verdict::Bad, {}, "the signature is no CMS signature in DER"};
  CMS_SignerInfo* info = only_signer(cms.get());
  if (info == nullptr) return {Verdict::Bad, {}, "the signature does not have one signer"};
  if (CMS_is_detached(cms.get()) != 1)
    return {Verdict::Bad, {}, "the signature has a text of its own in it"};
  if (!has_strong_digest(info))
    return {Verdict::Bad, {}, "the signature is not made with SHA-256, SHA-384 or SHA-512"};
  bool is_known = false;
  for (const Certificate& certificate : trusted) {
    if (CMS_SignerInfo_cert_cmp(info, certificate.get()) != 0) continue;
    is_known = true;
    // A verified message remembers its signer, so each certificate gets a fresh one.
    Cms fresh = parse(signature);
    if (is_signed_by(fresh.get(), text, certificate))
      return {Verdict::Good, describe(certificate), ""};
  }
  const std::string reason = take_openssl_reason();
  if (is_known) return {Verdict::Bad, {}, "the signature is not one of this manifest: " + reason};
  return {Verdict::Stranger, {}, "the signature is by another key: " + claimed_signer(signature)};
}

std::string claimed_signer(const std::vector<uint8_t>& signature) {
  Cms cms = parse(signature);
  CMS_SignerInfo* info = cms ? only_signer(cms.get()) : nullptr;
  if (info == nullptr) return "nobody";
  std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> brought(
      CMS_get1_certs(cms.get()),
      [](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); });
  for (int i = 0; brought && i < sk_X509_num(brought.get()); ++i) {
    X509* certificate = sk_X509_value(brought.get(), i);
    if (CMS_SignerInfo_cert_cmp(info, certificate) != 0) continue;
    return name_text(X509_get_subject_name(certificate));
  }
  ASN1_OCTET_STRING* id = nullptr;
  X509_NAME* issuer = nullptr;
  ASN1_INTEGER* serial = nullptr;
  if (CMS_SignerInfo_get0_signer_id(info, &id, &issuer, &serial) != 1 || issuer == nullptr)
    return "a key without a name";
  Bio bio = new_bio();
  i2a_ASN1_INTEGER(bio.get(), serial);
  return fmt::format("issuer {}, serial {}", name_text(issuer), shown(bio_text(bio)));
}

}  // namespace ksplice
