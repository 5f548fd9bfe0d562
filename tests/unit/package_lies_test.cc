// Every way to lie in a tarball is refused, and every damage to one.
#include "create/package/package.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/unit/package_samples.h"

namespace ksplice {
namespace {

TEST_F(PackageTest, EveryTruncationIsRefused) {
  Content whole = read_file(write_package(example(), dir_.path()));
  for (size_t length = 0; length < whole.size(); ++length) {
    write_file(path("short"), Content(whole.begin(), whole.begin() + static_cast<long>(length)));
    EXPECT_NE(refusal(path("short")), "accepted") << length;
  }
}

TEST_F(PackageTest, EveryFlippedByteIsRefusedOrHarmless) {
  Content whole = read_file(write_package(example(), dir_.path()));
  // Bytes 4 to 9 of the gzip header are a time and hints; nothing depends on them.
  for (size_t place = 10; place < whole.size(); ++place) {
    Content altered = whole;
    altered[place] ^= 0x41;
    write_file(path("altered"), altered);
    EXPECT_NE(refusal(path("altered")), "accepted") << place;
  }
}

TEST_F(PackageTest, TarThatEndsEarlyIsRefused) {
  Content tar = gunzip(read_file(write_package(example(), dir_.path())));
  for (size_t length = 0; length < tar.size() - 1024; length += 256) {
    write_file(path("short"), gzip(Content(tar.begin(), tar.begin() + static_cast<long>(length))));
    std::string message = refusal(path("short"));
    // The last file may lack its padding and the end mark; all its bytes are there.
    if (length < tar.size() - 2048) {
      EXPECT_NE(message, "accepted") << length;
    }
  }
}

TEST_F(PackageTest, NotGzip) {
  write_file(path("text"), "hello");
  EXPECT_EQ(refusal(path("text")), "not a gzip file");
}

TEST_F(PackageTest, BytesAfterTheGzipData) {
  Content whole = read_file(write_package(example(), dir_.path()));
  whole.push_back('x');
  write_file(path("longer"), whole);
  EXPECT_EQ(refusal(path("longer")), "1 bytes follow its gzip data");
}

TEST_F(PackageTest, BombIsStopped) {
  write_file(path("bomb"), gzip(Content(300 << 20)));
  EXPECT_EQ(refusal(path("bomb")), "it unpacks to more than 256 MiB");
}

TEST_F(PackageTest, HugeClaimedSize) {
  TarEntry entry{"ksplice-abc12345/big", bytes("x"), '0', "", 077777777777};
  EXPECT_EQ(refusal_with(entry), "entry \"ksplice-abc12345/big\": too many or too large files");
}

TEST_F(PackageTest, ManySmallClaims) {
  std::vector<TarEntry> entries = good_entries();
  for (int i = 0; i < 5000; ++i) entries.push_back({fmt::format("ksplice-abc12345/{}", i), {}});
  EXPECT_NE(refusal(pack(entries)).find("too many or too large files"), std::string::npos);
}

TEST_F(PackageTest, DotDot) {
  EXPECT_EQ(refusal_with({"ksplice-abc12345/../../etc/passwd", bytes("x")}),
            "entry \"ksplice-abc12345/../../etc/passwd\": path with \"..\"");
  EXPECT_EQ(refusal_with({"../ksplice-abc12345/x", bytes("x")}),
            "entry \"../ksplice-abc12345/x\": path with \"..\"");
  EXPECT_EQ(refusal_with({"ksplice-abc12345/..", {}, '5'}),
            "entry \"ksplice-abc12345/..\": path with \"..\"");
}

TEST_F(PackageTest, AbsolutePath) {
  EXPECT_EQ(refusal_with({"/etc/passwd", bytes("x")}), "entry \"/etc/passwd\": absolute path");
}

TEST_F(PackageTest, CrookedPaths) {
  EXPECT_EQ(refusal_with({"ksplice-abc12345/./x", bytes("x")}),
            "entry \"ksplice-abc12345/./x\": path that is not plain");
  EXPECT_EQ(refusal_with({"ksplice-abc12345//x", bytes("x")}),
            "entry \"ksplice-abc12345//x\": path that is not plain");
  EXPECT_EQ(refusal_with({"ksplice-abc12345/\x1b[2J", bytes("x")}),
            "entry \"ksplice-abc12345/\\x1b[2J\": path that is not plain");
}

TEST_F(PackageTest, LinksAndDevices) {
  EXPECT_EQ(refusal_with({"ksplice-abc12345/l", {}, '2', "/etc/passwd"}),
            "entry \"ksplice-abc12345/l\" is a symbolic link");
  EXPECT_EQ(refusal_with({"ksplice-abc12345/l", {}, '1', "ksplice-abc12345/patch"}),
            "entry \"ksplice-abc12345/l\" is a hard link");
  EXPECT_EQ(refusal_with({"ksplice-abc12345/d", {}, '3'}),
            "entry \"ksplice-abc12345/d\" is a device");
  EXPECT_EQ(refusal_with({"ksplice-abc12345/p", {}, '6'}),
            "entry \"ksplice-abc12345/p\" is a pipe");
}

TEST_F(PackageTest, SecondTopFolder) {
  EXPECT_EQ(refusal_with({"other/x", bytes("x")}),
            "entry \"other/x\": a second top folder beside \"ksplice-abc12345\"");
}

TEST_F(PackageTest, FileBesideTheTopFolder) {
  std::vector<TarEntry> entries = {{"ksplice-abc12345", bytes("x")}};
  EXPECT_EQ(refusal(pack(entries)), "entry \"ksplice-abc12345\": a file outside the top folder");
}

TEST_F(PackageTest, UnlistedFile) {
  EXPECT_EQ(refusal_with({"ksplice-abc12345/extra", bytes("x")}),
            "file \"extra\" is not listed in the manifest");
}

TEST_F(PackageTest, FileTwice) {
  EXPECT_EQ(refusal_with({"ksplice-abc12345/patch", bytes("x")}),
            "entry \"ksplice-abc12345/patch\" is there twice");
}

TEST_F(PackageTest, MissingFile) {
  std::vector<TarEntry> entries = good_entries();
  EXPECT_EQ(entries.back().name, "ksplice-abc12345/patch");
  entries.pop_back();
  EXPECT_EQ(refusal(pack(entries)), "file \"patch\" is listed and not there");
}

TEST_F(PackageTest, AlteredFile) {
  std::vector<TarEntry> entries = good_entries();
  entries.back().content[0] ^= 1;
  EXPECT_EQ(refusal(pack(entries)).rfind("file \"patch\" has the SHA-256 ", 0), 0u);
  entries.back().content.push_back('x');
  EXPECT_EQ(refusal(pack(entries)), "file \"patch\" has 13 bytes, the manifest says 12");
}

TEST_F(PackageTest, NoManifest) {
  std::vector<TarEntry> entries = good_entries();
  entries.erase(entries.begin());
  EXPECT_EQ(refusal(pack(entries)), "no manifest.json in it");
}

TEST_F(PackageTest, UnknownFormat) {
  EXPECT_EQ(refusal_of_manifest("\"format\": 1", "\"format\": 4"),
            "manifest.json: format 4, this tool knows 1 to 3");
  EXPECT_EQ(refusal_of_manifest("\"format\": 1", "\"format\": 0"),
            "manifest.json: format 0, this tool knows 1 to 3");
}

TEST_F(PackageTest, BrokenManifests) {
  EXPECT_NE(refusal_of_manifest("{", "").find("parse error"), std::string::npos);
  EXPECT_EQ(refusal_of_manifest("\"id\"", "\"ID\""),
            "manifest.json: the manifest has no usable \"id\"");
  EXPECT_EQ(refusal_of_manifest("\"id\": \"abc12345\"", "\"id\": \"../12345\""),
            "manifest.json: \"../12345\" is not an update id");
  EXPECT_EQ(refusal_of_manifest("\"name\": \"vmlinux\"", "\"name\": \"vm/inux\""),
            "manifest.json: kernel 6.1.0-50-cloud-amd64 has the target name \"vm/inux\"");
  EXPECT_EQ(refusal_of_manifest("\"arch\": \"x86_64\"", "\"arch\": \"s390x\""),
            "manifest.json: kernel 6.1.0-50-cloud-amd64 is for \"s390x\", this tool knows x86_64");
  EXPECT_EQ(refusal_of_manifest("drop packets", "drop\\u001b[2J"),
            "manifest.json: the description has a control character");
  EXPECT_EQ(refusal_of_manifest("\"reasons\": [", "\"reasons\": [" + std::string(100, '[') +
                                                      std::string(100, ']') + ","),
            "manifest.json: nested too deeply");
  EXPECT_NE(refusal_of_manifest("\"file\": \"objects/6.1.0-50-cloud-amd64/vmlinux.ko\"",
                                "\"file\": \"objects/nothing\"")
                .find("names the file \"objects/nothing\", which is not there"),
            std::string::npos);
}

TEST_F(PackageTest, LiesAboutDeltas) {
  std::string base = "\"base\": \"objects/6.1.0-50-cloud-amd64/vmlinux.ko\"";
  auto with = [&](const std::string& to) { return refusal_of_manifest(base, to, fleet()); };
  auto file = [](const std::string& path) { return "file \"" + path + "\" "; };
  EXPECT_EQ(with(base), "accepted");
  EXPECT_EQ(with("\"base\": \"objects/none\""),
            file(SecondCode) + "is a delta against \"objects/none\", which is not in the list");
  EXPECT_EQ(with(std::string("\"base\": \"") + ThirdCode + "\""),
            file(SecondCode) + "is a delta against \"" + ThirdCode + "\", which is a delta itself");
  EXPECT_EQ(
      with(std::string("\"base\": \"") + SecondCode + "\""),
      file(SecondCode) + "is a delta against \"" + SecondCode + "\", which is a delta itself");
  EXPECT_NE(with("\"base\": \"patch\"").find("a delta is damaged"), std::string::npos);
  EXPECT_EQ(with("\"base\": \"\""), "manifest.json: the delta of \"" + std::string(SecondCode) +
                                        "\" has no usable \"base\"");
  EXPECT_EQ(refusal_of_manifest("\"format\": 2", "\"format\": 1", fleet()),
            "manifest.json: the delta of \"" + std::string(SecondCode) +
                "\" is in a tarball of format 1, which has none");
}

TEST_F(PackageTest, LiesAboutTheResultOfADelta) {
  std::vector<TarEntry> entries = entries_of(fleet());
  nlohmann::json good = nlohmann::json::parse(entries[0].content);
  auto refusal_after = [&](auto change) {
    nlohmann::json manifest = good;
    for (nlohmann::json& file : manifest["files"])
      if (file["path"] == SecondCode) change(file);
    entries[0].content = bytes(manifest.dump());
    return refusal(pack(entries));
  };
  std::string begin = "file \"" + std::string(SecondCode) + "\"";
  EXPECT_EQ(refusal_after([](auto&) {}), "accepted");
  EXPECT_EQ(refusal_after([](auto& file) { file["size"] = 4999; }),
            begin + ": a delta is damaged: it makes more than the manifest says");
  EXPECT_EQ(refusal_after([](auto& file) { file["size"] = 1ull << 60; }),
            "it unpacks to more than 256 MiB");
  EXPECT_EQ(refusal_after([](auto& file) {
              file["sha256"] = std::string(64, '0');
            }).rfind(begin + " has the SHA-256 ", 0),
            0u);
  EXPECT_EQ(refusal_after([](auto& file) {
              file["delta"]["sha256"] = std::string(64, '0');
            }).rfind("file \"" + std::string(SecondCode) + ".vcdiff\" has the SHA-256 ", 0),
            0u);
  EXPECT_NE(
      refusal_after([](auto& file) { file["delta"]["size"] = 7; }).find("the manifest says 7"),
      std::string::npos);
}

TEST_F(PackageTest, DamagedDeltaIsRefused) {
  std::vector<TarEntry> entries = entries_of(fleet());
  for (TarEntry& entry : entries)
    if (entry.name.ends_with("51-cloud-amd64/vmlinux.ko.vcdiff")) entry.content.back() ^= 1;
  EXPECT_EQ(refusal(pack(entries))
                .rfind("file \"" + std::string(SecondCode) + ".vcdiff\" has the SHA-256 ", 0),
            0u);
  std::erase_if(entries, [](const TarEntry& entry) {
    return entry.name.ends_with("51-cloud-amd64/vmlinux.ko.vcdiff");
  });
  EXPECT_EQ(refusal(pack(entries)),
            "file \"" + std::string(SecondCode) + ".vcdiff\" is listed and not there");
}

}  // namespace
}  // namespace ksplice
