// Which tarballs a host with a trust file takes.
#include "apply/trust.h"

#include <sys/stat.h>

#include <algorithm>

#include "create/package/manifest.h"
#include "objdiff/base/utc.h"
#include "tests/unit/package_samples.h"
#include "tests/unit/sign_samples.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

class TrustTest : public PackageTest {
 protected:
  TrustTest() {
    fs::create_directories(path("keys"));
    fs::create_directories(host_.path("/etc/ksplice"));
    ::chmod(host_.path("/etc/ksplice").c_str(), 0755);
  }
  void make(const std::string& name, const std::string& more = "-days 30") {
    make_key(path("keys"), name, "ec:prime256v1", more);
  }
  std::string key(const std::string& name) { return path("keys/" + name); }
  std::string fingerprint(const std::string& name) {
    return describe(read_certificates(read_text(key(name) + ".cert"), name, "x")[0]).fingerprint;
  }
  void put(const std::string& file, const std::string& text, mode_t mode = 0644) {
    fs::create_directories(host_.path(file).parent_path());
    write_file(host_.path(file), text);
    ::chmod(host_.path(file).c_str(), mode);
  }
  void trust(const std::vector<std::string>& names) {
    std::string pem;
    for (const std::string& name : names) pem += read_text(key(name) + ".cert");
    put(TrustFile, pem);
  }
  Package signed_by(const std::string& name, uint64_t generation = 0, int64_t expires = 0) {
    Package package = example();
    package.generation = generation;
    package.expires = expires;
    const SigningKey with = read_signing_key(key(name) + ".key", key(name) + ".cert");
    return read_package(write_package(
        package, dir_.path(), [&](const std::string& text) { return sign_text(text, with); }));
  }
  // The code with which this host refuses it.
  std::string judged(const Package& package, Occasion occasion = Occasion::Apply,
                     int64_t now = now_utc()) {
    try {
      const std::optional<Trust> trust = read_trust(host_);
      if (!trust) return "no trust file";
      TrustVerdict verdict = judge_trust(*trust, package, occasion, now);
      return verdict.refusal ? verdict.refusal->code : "taken from " + verdict.signer.name;
    } catch (const Error& error) {
      return error.code;
    }
  }
  void apply(const Package& package, bool works = true) {
    SeenGeneration seen(host_, package, check_trust(host_, package, Occasion::Apply));
    if (works) seen.keep();
  }

  Host host_{dir_.path() / "host"};
};

TEST_F(TrustTest, WithoutATrustFileEverythingIsTaken) {
  make("one");
  put("/etc/ksplice/revoked", "nonsense");
  EXPECT_EQ(judged(example()), "no trust file");
  EXPECT_FALSE(check_trust(host_, signed_by("one", 5, 100), Occasion::Apply).has_value());
  SeenGeneration seen(host_, signed_by("one", 5), std::nullopt);
  EXPECT_FALSE(fs::exists(host_.path("/var")));
}

TEST_F(TrustTest, OnlyWhatATrustedKeySigned) {
  make("one");
  make("two");
  make("other");
  trust({"one", "two"});
  EXPECT_EQ(judged(signed_by("one")), "taken from CN=one");
  EXPECT_EQ(judged(signed_by("two")), "taken from CN=two");
  EXPECT_EQ(judged(signed_by("other")), "unknown_signer");
  EXPECT_EQ(judged(read_package(write_package(example(), dir_.path()))), "not_signed");
  EXPECT_THROW(check_trust(host_, signed_by("other"), Occasion::Apply), Refused);
  EXPECT_EQ(check_trust(host_, signed_by("one"), Occasion::Apply)->name, "CN=one");
}

// The reader holds the files against the manifest, and the signature is over the manifest.
TEST_F(TrustTest, AlteredManifests) {
  make("one");
  trust({"one"});
  signed_by("one");
  Content tar = gunzip(read_file(path("ksplice-abc12345.tar.gz")));
  auto altered = [&](const std::string& from, const std::string& to) {
    Content copy = tar;
    auto at = std::search(copy.begin(), copy.end(), from.begin(), from.end());
    EXPECT_NE(at, copy.end()) << from;
    std::copy(to.begin(), to.end(), at);
    write_file(path("altered.tar.gz"), gzip(copy));
    return judged(read_package(path("altered.tar.gz")));
  };
  EXPECT_EQ(altered("drop packets", "Drop packets"), "bad_signature");
  EXPECT_EQ(altered("ksplice 1.0.0", "ksplice 1.0.1"), "bad_signature");
  EXPECT_EQ(altered("\"build_id\": \"0", "\"build_id\": \"1"), "bad_signature");
  EXPECT_EQ(altered("drop packets", "drop packets"), "taken from CN=one");
  // The signature of another manifest.
  Package first = signed_by("one"), second = signed_by("one", 1);
  first.signature = second.signature;
  EXPECT_EQ(judged(first), "bad_signature");
}

TEST_F(TrustTest, Times) {
  make("one");
  trust({"one"});
  const int64_t now = now_utc();
  const Package package = signed_by("one", 0, now + 100);
  EXPECT_EQ(judged(package, Occasion::Apply, now + 99), "taken from CN=one");
  EXPECT_EQ(judged(package, Occasion::Apply, now + 100), "expired");
  EXPECT_EQ(judged(package, Occasion::LateTarget, now + 100), "taken from CN=one");
  EXPECT_EQ(judged(package, Occasion::Boot, now + 99), "taken from CN=one");
  EXPECT_EQ(judged(package, Occasion::Boot, now + 100), "expired");
  // The certificate's own end.
  EXPECT_EQ(judged(signed_by("one"), Occasion::Apply, now + 31 * 86400), "expired");
  // A clock that has not been set: an update is not older than its making.
  Package made = example();
  made.created = utc_text(now);
  const SigningKey with = read_signing_key(key("one") + ".key", key("one") + ".cert");
  made = read_package(write_package(
      made, dir_.path(), [&](const std::string& text) { return sign_text(text, with); }));
  EXPECT_EQ(judged(made, Occasion::Apply, 0), "taken from CN=one");
  EXPECT_EQ(judged(signed_by("one"), Occasion::Apply, 0), "expired") << "made in 2024";
}

TEST_F(TrustTest, Generations) {
  make("one");
  make("two");
  trust({"one", "two"});
  apply(signed_by("one", 3), false);
  EXPECT_FALSE(fs::exists(host_.path("/var/lib/ksplice")));
  EXPECT_EQ(judged(signed_by("one", 2)), "taken from CN=one");
  apply(signed_by("one", 3));
  EXPECT_EQ(judged(signed_by("one", 2)), "old_generation");
  EXPECT_EQ(judged(signed_by("one", 2), Occasion::LateTarget), "taken from CN=one");
  EXPECT_EQ(judged(signed_by("one", 2), Occasion::Boot), "taken from CN=one");
  EXPECT_EQ(judged(signed_by("one", 3)), "taken from CN=one");
  EXPECT_EQ(judged(signed_by("two", 2)), "taken from CN=two") << "another's numbers";
  const std::string before = read_text(host_.path("/var/lib/ksplice/trust.json"));
  apply(signed_by("one", 9), false);
  apply(signed_by("one", 3));
  EXPECT_EQ(read_text(host_.path("/var/lib/ksplice/trust.json")), before);
  apply(signed_by("two", 1));
  apply(signed_by("one", 4));
  EXPECT_EQ(judged(signed_by("one", 3)), "old_generation");
  EXPECT_EQ(judged(signed_by("two", 0)), "old_generation");
}

TEST_F(TrustTest, AHostThatCannotNoteAGenerationRefuses) {
  make("one");
  trust({"one"});
  put("/var/lib/ksplice", "a file");
  auto code = [&](uint64_t generation) -> std::string {
    try {
      apply(signed_by("one", generation));
      return "applied";
    } catch (const Error& error) {
      return error.code;
    }
  };
  EXPECT_EQ(code(1), "bad_trust");
  fs::remove(host_.path("/var/lib/ksplice"));
  fs::create_directories(host_.path("/var/lib/ksplice/trust.json"));
  EXPECT_EQ(code(1), "bad_trust");
  fs::remove(host_.path("/var/lib/ksplice/trust.json"));
  for (const char* damaged :
       {"", "{", "{\"generations\":{\"a\":-1}}", "{\"generations\":7}", "[]"}) {
    put("/var/lib/ksplice/trust.json", damaged);
    EXPECT_EQ(code(1), "bad_trust") << damaged;
    EXPECT_EQ(read_text(host_.path("/var/lib/ksplice/trust.json")), damaged);
  }
}

TEST_F(TrustTest, Revocation) {
  make("one");
  trust({"one"});
  const Package package = signed_by("one");
  const std::string manifest = sha256({package.manifest.begin(), package.manifest.end()}),
                    by = fingerprint("one");
  const std::string head = "# what is known to be bad\n\n  update other # not this one\n";
  put("/etc/ksplice/revoked", head);
  EXPECT_EQ(judged(package), "taken from CN=one");
  for (const std::string& line :
       {std::string("update abc12345"), "manifest " + manifest, "key " + by}) {
    put("/etc/ksplice/revoked", head + line + "\n");
    EXPECT_EQ(judged(package), "revoked") << line;
    EXPECT_EQ(judged(package, Occasion::LateTarget), "revoked") << line;
  }
  // A line that is not understood may be the one that was to help.
  for (const std::string line :
       {"updates abc12345", "abc12345", "update", "update a b", "key 12", "key", "manifest ABC"}) {
    put("/etc/ksplice/revoked", line);
    EXPECT_EQ(judged(package), "bad_trust") << line;
  }
}

TEST_F(TrustTest, FilesThatOthersCanWrite) {
  make("one");
  trust({"one"});
  const Package package = signed_by("one");
  const std::string pem = read_text(host_.path(TrustFile));
  for (mode_t mode : {0664, 0646, 0666}) {
    put(TrustFile, pem, mode);
    EXPECT_EQ(judged(package), "bad_trust") << mode;
  }
  put(TrustFile, pem, 0600);
  EXPECT_EQ(judged(package), "taken from CN=one");
  put("/etc/ksplice/revoked", "", 0666);
  EXPECT_EQ(judged(package), "bad_trust");
  fs::remove(host_.path("/etc/ksplice/revoked"));
  ::chmod(host_.path("/etc/ksplice").c_str(), 0777);
  EXPECT_EQ(judged(package), "bad_trust");
  ::chmod(host_.path("/etc/ksplice").c_str(), 0755);
  fs::rename(host_.path(TrustFile), host_.path("/etc/ksplice/pem"));
  fs::create_symlink("pem", host_.path(TrustFile));
  EXPECT_EQ(judged(package), "bad_trust") << "a link";
  fs::remove(host_.path(TrustFile));
  for (const std::string text : {"", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"}) {
    put(TrustFile, text);
    EXPECT_EQ(judged(package), "bad_trust") << text;
  }
  fs::remove(host_.path(TrustFile));
  fs::create_directory(host_.path(TrustFile));
  EXPECT_EQ(judged(package), "bad_trust") << "a folder";
}

}  // namespace
}  // namespace ksplice
