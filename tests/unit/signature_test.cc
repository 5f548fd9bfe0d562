// Signatures of manifests: what is good, and everything that looks like it and is not.
#include "create/package/signature.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "create/package/signing.h"
#include "objdiff/base/utc.h"
#include "tests/unit/package_samples.h"
#include "tests/unit/sign_samples.h"

namespace ksplice {
namespace {

class SignatureTest : public PackageTest {
 protected:
  std::string make(const std::string& name, const std::string& how = "rsa:2048",
                   const std::string& more = "-days 30") {
    return make_key(dir_.path(), name, how, more);
  }
  std::vector<Certificate> trusting(const std::string& name) {
    return read_certificates(read_text(path(name + ".cert")), name, "bad_trust");
  }
  Content sign(const std::string& text, const std::string& name) {
    return sign_text(text, read_signing_key(path(name + ".key"), path(name + ".cert")));
  }
  std::string key_error(const std::string& key, const std::string& certificate = "") {
    try {
      read_signing_key(key, certificate);
    } catch (const Error& error) {
      return error.code + ": " + error.what();
    }
    return "fine";
  }
};

TEST_F(SignatureTest, GoodByTheRightKeyOnly) {
  make("one");
  make("other");
  const Content signature = sign("text", "one");
  Verification good = verify_signature("text", signature, trusting("one"));
  EXPECT_EQ(good.verdict, Verdict::Good) << good.reason;
  EXPECT_EQ(good.signer.name, "CN=one");
  EXPECT_EQ(good.signer.fingerprint.size(), 64u);
  EXPECT_GT(good.signer.not_after, now_utc());
  EXPECT_EQ(claimed_signer(signature), "CN=one");
  EXPECT_EQ(verify_signature("Text", signature, trusting("one")).verdict, Verdict::Bad);
  Verification stranger = verify_signature("text", signature, trusting("other"));
  EXPECT_EQ(stranger.verdict, Verdict::Stranger);
  EXPECT_EQ(stranger.reason, "the signature is by another key: CN=one");
  EXPECT_EQ(verify_signature("text", signature, {}).verdict, Verdict::Stranger);
}

// A certificate says whose it is, and anybody can write one that says the same.
TEST_F(SignatureTest, SameNameAndSerialIsNotTheSameKey) {
  make("one", "rsa:2048", "-days 30 -set_serial 7");
  std::filesystem::create_directory(path("fake"));
  make_key(dir_.path() / "fake", "one", "rsa:2048", "-days 30 -set_serial 7");
  const Content forged =
      sign_text("text", read_signing_key(path("fake/one.key"), path("fake/one.cert")));
  EXPECT_EQ(verify_signature("text", forged, trusting("one")).verdict, Verdict::Bad);
  // Where both are trusted, whichever comes first, each is good.
  std::vector<Certificate> both = trusting("one");
  both.push_back(trusting("fake/one")[0]);
  EXPECT_EQ(verify_signature("text", forged, both).signer.fingerprint,
            describe(both[1]).fingerprint);
  EXPECT_EQ(verify_signature("text", sign("text", "one"), both).signer.fingerprint,
            describe(both[0]).fingerprint);
}

TEST_F(SignatureTest, EllipticCurve) {
  make("curve", "ec:prime256v1");
  EXPECT_EQ(verify_signature("text", sign("text", "curve"), trusting("curve")).verdict,
            Verdict::Good);
}

TEST_F(SignatureTest, EveryAlteredByteIsSeen) {
  make("one");
  const Content good = sign("text", "one");
  const std::vector<Certificate> trusted = trusting("one");
  // The certificate that it brings along is not looked at: its bytes, some 700, may differ.
  size_t taken = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    Content altered = good;
    altered[at] ^= 0x20;
    taken += verify_signature("text", altered, trusted).verdict == Verdict::Good;
    EXPECT_NE(verify_signature("Text", altered, trusted).verdict, Verdict::Good) << at;
  }
  EXPECT_GT(taken, 300u);
  EXPECT_LT(taken, good.size() - 300);
  for (size_t size = 0; size < good.size(); size += 7)
    EXPECT_EQ(
        verify_signature("text", {good.begin(), good.begin() + static_cast<long>(size)}, trusted)
            .verdict,
        Verdict::Bad);
  Content longer = good;
  longer.push_back(0);
  EXPECT_EQ(verify_signature("text", longer, trusted).verdict, Verdict::Bad);
}

TEST_F(SignatureTest, OddKindsOfMessages) {
  make("one");
  make("two");
  const std::vector<Certificate> trusted = trusting("one");
  auto openssl = [&](const std::string& words) {
    write_file(path("text"), std::string_view("text"));
    const std::string command = "cd '" + dir_.path().string() + "' && openssl cms " + words +
                                " -in text -outform DER -out odd 2>/dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return verify_signature("text", read_file(path("odd")), trusted);
  };
  const std::string by_one = "-sign -binary -signer one.cert -inkey one.key ";
  EXPECT_EQ(openssl(by_one).verdict, Verdict::Good);
  EXPECT_EQ(openssl(by_one + "-noattr -nocerts -md sha512").verdict, Verdict::Good);
  EXPECT_EQ(openssl(by_one + "-nodetach").reason, "the signature has a text of its own in it");
  EXPECT_EQ(openssl(by_one + "-md sha1").reason,
            "the signature is not made with SHA-256, SHA-384 or SHA-512");
  EXPECT_EQ(openssl(by_one + "-signer two.cert -inkey two.key").reason,
            "the signature does not have one signer");
  EXPECT_EQ(openssl("-data_create").reason, "the signature is no CMS signature in DER");
  // Certificates without any signer prove nothing.
  const std::string list = "cd '" + dir_.path().string() +
                           "' && openssl crl2pkcs7 -nocrl -certfile one.cert -outform DER -out odd";
  ASSERT_EQ(std::system(list.c_str()), 0);
  EXPECT_EQ(verify_signature("text", read_file(path("odd")), trusted).verdict, Verdict::Bad);
}

TEST_F(SignatureTest, KeysThatCannotBeUsed) {
  make("one");
  make("other");
  make("weak", "rsa:1024");
  EXPECT_EQ(key_error(path("one.key"), path("one.cert")), "fine");
  write_file(path("both"), read_text(path("one.key")) + read_text(path("one.cert")));
  ASSERT_EQ(::chmod(path("both").c_str(), 0640), 0);
  EXPECT_EQ(key_error(path("both")), "fine");
  EXPECT_EQ(
      key_error(path("one.key"), path("other.cert")),
      "bad_key: " + path("other.cert") + " holds no certificate of the key " + path("one.key"));
  EXPECT_EQ(key_error(path("one.key")),
            "bad_key: " + path("one.key") + " holds no certificate in PEM");
  EXPECT_EQ(key_error(path("one.cert"), path("one.cert")).substr(0, 9), "bad_key: ");
  EXPECT_EQ(key_error(path("weak.key"), path("weak.cert")),
            "bad_key: " + path("weak.cert") + ": the key of CN=weak is weaker than 112 bits");
  ASSERT_EQ(::chmod(path("one.key").c_str(), 0644), 0);
  EXPECT_EQ(key_error(path("one.key"), path("one.cert")),
            "bad_key: the key " + path("one.key") + " is open to others (mode 0644)");
  EXPECT_EQ(key_error(path("none")).substr(0, 8), "failed: ");
}

TEST_F(SignatureTest, DamagedCertificates) {
  make("one");
  const std::string good = read_text(path("one.cert"));
  auto count = [](const std::string& pem) {
    return read_certificates(pem, "file", "bad_trust").size();
  };
  EXPECT_EQ(count("words before\n" + good + "and between\n" + good), 2u);
  std::string damaged = good;
  damaged[good.size() / 2] = '*';
  for (const std::string& bad : {std::string(), std::string("words"), damaged, good + damaged,
                                 good.substr(0, good.size() / 2)})
    EXPECT_THROW(count(bad), Error) << bad;
}

TEST_F(SignatureTest, SignedTarball) {
  make("one");
  const Sign with_one = [&](const std::string& manifest) { return sign(manifest, "one"); };
  Package package = example();
  package.generation = 3;
  package.expires = 1900000000;
  const std::string file = write_package(package, dir_.path(), with_one);
  Package read = read_package(file);
  EXPECT_EQ(read.generation, 3u);
  EXPECT_EQ(read.expires, 1900000000);
  EXPECT_EQ(read.files, package.files);
  EXPECT_EQ(verify_signature(read.manifest, read.signature, trusting("one")).verdict,
            Verdict::Good);
  EXPECT_EQ(nlohmann::json::parse(read.manifest)["format"], 3);
  EXPECT_EQ(nlohmann::json::parse(read.manifest)["expires"], "2030-03-17T17:46:40Z");
  // Nobody can make an unsigned one of it, nor hide a file as a signature.
  std::vector<TarEntry> entries = good_entries();
  entries.push_back({"ksplice-abc12345/manifest.json.p7s", bytes("signature")});
  EXPECT_EQ(refusal(pack(entries)), "file \"manifest.json.p7s\" is not listed in the manifest");
  entries.pop_back();
  std::string text(entries[0].content.begin(), entries[0].content.end());
  entries[0].content = bytes(text.replace(text.find("\"format\": 1"), 11, "\"format\": 3"));
  EXPECT_EQ(refusal(pack(entries)), "it says that it is signed, and has no manifest.json.p7s");
  EXPECT_EQ(refusal_of_manifest("{", "{\"expires\": \"tomorrow\","),
            "manifest.json: the manifest has no usable \"expires\"");
  EXPECT_EQ(refusal_of_manifest("{", "{\"generation\": -1,"),
            "manifest.json: the manifest has no usable \"generation\"");
}

TEST(Expiry, Words) {
  EXPECT_EQ(parse_expiry("never", 5), 0);
  EXPECT_EQ(parse_expiry("2d", 5), 5 + 2 * 86400);
  EXPECT_EQ(parse_expiry("1970-01-03", 5), 2 * 86400);
  EXPECT_EQ(parse_expiry("1970-01-01T00:01:00Z", 5), 60);
  for (const char* bad : {"", "d", "-1d", "2x", "1970-02-30", "1970-1-3", "99999999999999999999d",
                          "1970-01-01T00:00:04Z", "0d", " 1970-01-03"})
    EXPECT_THROW(parse_expiry(bad, 5), Error) << bad;
}

TEST(Utc, BackAndForth) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(parse_utc("2026-11-30T07:28:09Z"), 1796023689);
  EXPECT_EQ(utc_text(1796023689), "2026-11-30T07:28:09Z");
  for (const char* bad : {"2026-11-31T00:00:00Z", "2026-11-30T07:28:09", "2026-11-30T07:28:09Zx",
                          "2026-11-30 07:28:09Z", "+026-11-30T07:28:09Z", ""})
    EXPECT_FALSE(parse_utc(bad).has_value()) << bad;
}

}  // namespace
}  // namespace ksplice
