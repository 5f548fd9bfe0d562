// The tarball: written twice the same, read back whole, and every way to lie in one refused.
#include "create/package/package.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

using Content = std::vector<uint8_t>;

Content bytes(std::string_view text) { return {text.begin(), text.end()}; }

Package example() {
  Package package;
  package.id = "abc12345";
  package.description = "drop packets to port 6688";
  package.created = "2024-01-02T03:04:05Z";
  package.tool = "ksplice 1.0.0";
  package.allow_busy = {"kauditd_thread", "worker.isra.0"};
  package.notes = {"kauditd_thread may be running at the switch"};
  PackageTarget target;
  target.name = "vmlinux";
  target.module = "ksplice_abc12345_vmlinux";
  target.file = "objects/6.1.0-50-cloud-amd64/vmlinux.ko";
  target.final = "objects/6.1.0-50-cloud-amd64/vmlinux.final.json";
  target.build_id = "0123456789abcdef0123456789abcdef01234567";
  target.functions = {{"tcp_v4_rcv", "net/ipv4/tcp_ipv4.o", "changed",
                       nlohmann::json::array({{{"kind", "code"}}})}};
  target.added = {"fresh"};
  PackageKernel kernel;
  kernel.release = "6.1.0-50-cloud-amd64";
  kernel.build_id = "0123456789abcdef0123456789abcdef01234567";
  kernel.core_file = "objects/6.1.0-50-cloud-amd64/ksplice.ko";
  kernel.core_final = "objects/6.1.0-50-cloud-amd64/ksplice.final.json";
  kernel.targets = {target};
  package.kernels = {kernel};
  package.files = {{"patch", bytes("--- a\n+++ b\n")},
                   {kernel.core_file, bytes("core")},
                   {kernel.core_final, bytes("{}")},
                   {target.file, Content(5000, 7)},
                   {target.final, bytes("{}")}};
  return package;
}

Content noise(size_t size) {
  std::mt19937 random(1);
  Content content(size);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

// Two more kernels, whose files resemble the first one's.
Package fleet() {
  Package package = example();
  Content code = noise(5000);
  package.files[package.kernels[0].targets[0].file] = code;
  for (const char* release : {"6.1.0-51-cloud-amd64", "6.1.0-52-cloud-amd64"}) {
    PackageKernel kernel = example().kernels[0];
    kernel.release = release;
    kernel.build_id.replace(38, 2, std::string(release + 6, 2));
    auto copy = [&](std::string& file) {
      const Content& content = package.files.at(file);
      file.replace(8, kernel.release.size(), kernel.release);
      package.files[file] = content;
    };
    copy(kernel.core_file);
    copy(kernel.core_final);
    copy(kernel.targets[0].file);
    copy(kernel.targets[0].final);
    package.files[kernel.targets[0].file][100] ^= 1;
    package.kernels.push_back(kernel);
  }
  return package;
}

// --- a tar file made by hand

struct TarEntry {
  std::string name;
  Content content = {};
  char type = '0';
  std::string link = "";
  uint64_t claimed = UINT64_MAX;  // size in the header, if not the real one
};

void add_entry(Content& tar, const TarEntry& entry) {
  char header[512] = {};
  std::memcpy(header, entry.name.data(), std::min<size_t>(entry.name.size(), 100));
  std::memcpy(header + 100, "0000644", 8);
  std::memcpy(header + 108, "0000000", 8);
  std::memcpy(header + 116, "0000000", 8);
  uint64_t size = entry.claimed == UINT64_MAX ? entry.content.size() : entry.claimed;
  std::snprintf(header + 124, 12, "%011llo", static_cast<unsigned long long>(size));
  std::memcpy(header + 136, "00000000000", 12);
  std::memset(header + 148, ' ', 8);
  header[156] = entry.type;
  std::memcpy(header + 157, entry.link.data(), entry.link.size());
  std::memcpy(header + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (unsigned char c : header) sum += c;
  std::snprintf(header + 148, 8, "%06o", sum);
  tar.insert(tar.end(), header, header + 512);
  tar.insert(tar.end(), entry.content.begin(), entry.content.end());
  tar.resize((tar.size() + 511) / 512 * 512);
}

Content gzip(const Content& data) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  Content result(deflateBound(&stream, data.size()) + 64);
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

Content gunzip(const Content& data) {
  z_stream stream = {};
  inflateInit2(&stream, 16 + MAX_WBITS);
  Content result(1 << 20);
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  inflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  inflateEnd(&stream);
  return result;
}

class PackageTest : public testing::Test {
 protected:
  std::string path(const std::string& name) { return dir_.path() / name; }

  // The entries of a good tarball, for a test to spoil.
  std::vector<TarEntry> good_entries() { return entries_of(example()); }

  std::vector<TarEntry> entries_of(const Package& package) {
    Content tar = gunzip(read_file(write_package(package, dir_.path())));
    std::vector<TarEntry> entries;
    for (size_t at = 0; at + 512 <= tar.size() && tar[at] != 0;) {
      const char* header = reinterpret_cast<const char*>(tar.data() + at);
      TarEntry entry;
      entry.name = header;
      size_t size = std::strtoull(header + 124, nullptr, 8);
      entry.content.assign(tar.begin() + at + 512, tar.begin() + at + 512 + size);
      entries.push_back(entry);
      at += 512 + (size + 511) / 512 * 512;
    }
    return entries;
  }

  std::string pack(const std::vector<TarEntry>& entries) {
    Content tar;
    for (const TarEntry& entry : entries) add_entry(tar, entry);
    tar.resize(tar.size() + 1024);
    write_file(path("test.tar.gz"), gzip(tar));
    return path("test.tar.gz");
  }

  // The message with which the tarball is refused.
  std::string refusal(const std::string& file) {
    try {
      read_package(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, "bad_tarball") << error.what();
      std::string text = error.what();
      EXPECT_EQ(text.rfind(file + ": ", 0), 0u) << text;
      return text.substr(std::min(text.size(), file.size() + 2));
    }
    return "accepted";
  }

  std::string refusal_with(const TarEntry& extra) {
    std::vector<TarEntry> entries = good_entries();
    entries.push_back(extra);
    return refusal(pack(entries));
  }

  // Refusal after one replacement in the manifest's text.
  std::string refusal_of_manifest(const std::string& from, const std::string& to,
                                  const Package& package = example()) {
    std::vector<TarEntry> entries = entries_of(package);
    std::string text(entries[0].content.begin(), entries[0].content.end());
    size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from << " in\n" << text;
    if (place != std::string::npos) text.replace(place, from.size(), to);
    entries[0].content = bytes(text);
    return refusal(pack(entries));
  }

  TempDir dir_;
};

TEST_F(PackageTest, ReadsBackWhatWasWritten) {
  Package package = example();
  std::string file = write_package(package, dir_.path());
  EXPECT_EQ(file, path("ksplice-abc12345.tar.gz"));
  Package read = read_package(file);
  EXPECT_EQ(read.id, package.id);
  EXPECT_EQ(read.description, package.description);
  EXPECT_EQ(read.created, package.created);
  EXPECT_EQ(read.tool, package.tool);
  EXPECT_EQ(read.files, package.files);
  ASSERT_EQ(read.kernels.size(), 1u);
  EXPECT_EQ(read.kernels[0].release, package.kernels[0].release);
  EXPECT_EQ(read.kernels[0].build_id, package.kernels[0].build_id);
  EXPECT_EQ(read.kernels[0].core_final, package.kernels[0].core_final);
  ASSERT_EQ(read.kernels[0].targets.size(), 1u);
  const PackageTarget& target = read.kernels[0].targets[0];
  EXPECT_EQ(target.module, "ksplice_abc12345_vmlinux");
  EXPECT_EQ(target.added, std::vector<std::string>{"fresh"});
  ASSERT_EQ(target.functions.size(), 1u);
  EXPECT_EQ(target.functions[0].unit, "net/ipv4/tcp_ipv4.o");
  EXPECT_EQ(target.functions[0].reasons, package.kernels[0].targets[0].functions[0].reasons);
}

TEST_F(PackageTest, ReadsBackWhatItStandsOn) {
  Package package = example();
  PackageLower lower{"low", "ksplice_low_vmlinux", "00ff"};
  package.kernels[0].targets[0].stands_on = {lower};
  Package read = read_package(write_package(package, dir_.path().string()));
  ASSERT_EQ(read.kernels[0].targets[0].stands_on.size(), 1u);
  EXPECT_EQ(read.kernels[0].targets[0].stands_on[0].id, lower.id);
  EXPECT_EQ(read.kernels[0].targets[0].stands_on[0].module, lower.module);
  EXPECT_EQ(read.kernels[0].targets[0].stands_on[0].build_id, lower.build_id);
  // On itself, on a module of another target, on something without a build id.
  for (const PackageLower& bad :
       {PackageLower{package.id, package.kernels[0].targets[0].module, "00"},
        PackageLower{"low", "ksplice_low_dummy", "00"},
        PackageLower{"low", "ksplice_low_vmlinux", ""}}) {
    package.kernels[0].targets[0].stands_on = {bad};
    EXPECT_THROW(write_package(package, dir_.path().string()), Error) << bad.module;
  }
}

TEST_F(PackageTest, SamePackageSameBytes) {
  Content first = read_file(write_package(example(), dir_.path()));
  std::filesystem::create_directory(path("again"));
  EXPECT_EQ(first, read_file(write_package(example(), path("again"))));
}

TEST_F(PackageTest, HandMadeTarballIsAsGood) {
  EXPECT_EQ(refusal(pack(good_entries())), "accepted");
}

TEST_F(PackageTest, FolderEntriesAreFine) {
  std::vector<TarEntry> entries = good_entries();
  entries.insert(entries.begin(), {"ksplice-abc12345/", {}, '5'});
  EXPECT_EQ(refusal(pack(entries)), "accepted");
}

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
  EXPECT_EQ(refusal_of_manifest("\"format\": 1", "\"format\": 3"),
            "manifest.json: format 3, this tool knows 1 to 2");
  EXPECT_EQ(refusal_of_manifest("\"format\": 1", "\"format\": 0"),
            "manifest.json: format 0, this tool knows 1 to 2");
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

constexpr const char* SecondCode = "objects/6.1.0-51-cloud-amd64/vmlinux.ko";
constexpr const char* ThirdCode = "objects/6.1.0-52-cloud-amd64/vmlinux.ko";

TEST_F(PackageTest, AlikeFilesOfFurtherKernelsAreDeltas) {
  Package package = fleet();
  std::string file = write_package(package, dir_.path());
  EXPECT_EQ(read_package(file).files, package.files);
  EXPECT_LT(std::filesystem::file_size(file), 5000u + 2000u);
  std::set<std::string> names;
  for (const TarEntry& entry : entries_of(package)) names.insert(entry.name.substr(17));
  EXPECT_TRUE(names.contains("objects/6.1.0-50-cloud-amd64/vmlinux.ko"));
  for (const std::string path : {SecondCode, ThirdCode}) {
    EXPECT_TRUE(names.contains(path + ".vcdiff"));
    EXPECT_FALSE(names.contains(path));
  }
}

TEST_F(PackageTest, OnlyDeltasNeedTheNewerFormat) {
  auto manifest = [&](const Package& package) {
    Content text = entries_of(package)[0].content;
    return nlohmann::json::parse(text.begin(), text.end());
  };
  EXPECT_EQ(manifest(example())["format"], 1);
  EXPECT_EQ(manifest(fleet())["format"], 2);
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

TEST_F(PackageTest, OtherIdThanTheFolder) {
  std::vector<TarEntry> entries = good_entries();
  for (TarEntry& entry : entries) entry.name.replace(0, 16, "ksplice-zzz12345");
  EXPECT_EQ(refusal(pack(entries)),
            "top folder \"ksplice-zzz12345\" does not belong to the id abc12345");
}

TEST_F(PackageTest, WriterHasTheSameRules) {
  Package package = example();
  package.id = "Bad";
  EXPECT_THROW(write_package(package, dir_.path()), Error);
  package = example();
  package.files.erase("patch");
  EXPECT_THROW(write_package(package, dir_.path()), Error);
  package = example();
  package.files["../x"] = bytes("x");
  EXPECT_THROW(write_package(package, dir_.path()), Error);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST(PackageId, Characters) {
  EXPECT_TRUE(is_valid_id("abc_1234"));
  EXPECT_TRUE(is_valid_id(std::string(40, 'a')));
  EXPECT_FALSE(is_valid_id(std::string(41, 'a')));
  for (const char* id : {"", "A", "a-b", "a.b", "a/b", "..", "a b"})
    EXPECT_FALSE(is_valid_id(id)) << id;
}

}  // namespace
}  // namespace ksplice
