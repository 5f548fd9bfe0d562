// The tarball: written twice the same, and read back whole.
#include "create/package/package.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/package_samples.h"

namespace ksplice {
namespace {

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

TEST_F(PackageTest, ReadsBackWhichOtherModulesAreUsed) {
  Package package = example();
  std::vector<PackageTarget>& targets = package.kernels[0].targets;
  targets.push_back(targets[0]);
  targets[1].name = "ifb";
  targets[1].module = "ksplice_" + package.id + "_ifb";
  targets[1].uses = {targets[0].module};
  Package read = read_package(write_package(package, dir_.path().string()));
  EXPECT_EQ(read.kernels[0].targets[1].uses, targets[1].uses);
  std::swap(targets[0], targets[1]);  // what is used must come first
  EXPECT_THROW(write_package(package, dir_.path().string()), Error);
}

TEST_F(PackageTest, ReadsBackWhatItStandsOn) {
  Package package = example();
  PackageLower lower{"low", "ksplice_low_vmlinux", "00ff"};
  package.kernels[0].targets[0].stands_on = {lower};
  package.kernels[0].targets[0].given_away = {"fresh is stored (in target+0x12)"};
  package.kernels[0].targets[0].kept = true;
  Package read = read_package(write_package(package, dir_.path().string()));
  ASSERT_EQ(read.kernels[0].targets[0].stands_on.size(), 1u);
  EXPECT_EQ(read.kernels[0].targets[0].given_away, package.kernels[0].targets[0].given_away);
  EXPECT_TRUE(read.kernels[0].targets[0].kept);
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

TEST_F(PackageTest, ReadsBackWhichPatchesAreLeftOut) {
  Package package = example();
  package.left_out_patches = {{"2.patch", "type_changed", "struct foo changed"},
                              {"3.patch", "chosen", ""}};
  Package read = read_package(write_package(package, dir_.path().string()));
  ASSERT_EQ(read.left_out_patches.size(), 2u);
  EXPECT_EQ(read.left_out_patches[0].patch, "2.patch");
  EXPECT_EQ(read.left_out_patches[0].code, "type_changed");
  EXPECT_EQ(read.left_out_patches[0].why, "struct foo changed");
  EXPECT_EQ(read.left_out_patches[1].code, "chosen");
  // Older readers take it as well: the format is as low as before.
  for (const TarEntry& entry : entries_of(package)) {
    if (!entry.name.ends_with("/manifest.json")) continue;
    EXPECT_EQ(nlohmann::json::parse(entry.content)["format"], 1);
  }
  for (const PackageLeftOut& bad :
       {PackageLeftOut{"", "chosen", ""}, PackageLeftOut{"2.patch", "Not a code", ""},
        PackageLeftOut{"2.patch", "no_match", "two\nlines"}}) {
    package.left_out_patches = {bad};
    EXPECT_THROW(write_package(package, dir_.path().string()), Error);
  }
}

TEST_F(PackageTest, ReadsBackWhatItFixes) {
  Package package = example();
  package.cves = {"CVE-2024-1234", "CVE-2024-1234567"};
  package.upstream_commits = {std::string(40, 'a')};
  Package read = read_package(write_package(package, dir_.path().string()));
  EXPECT_EQ(read.cves, package.cves);
  EXPECT_EQ(read.upstream_commits, package.upstream_commits);
  for (const char* bad : {"", "CVE-2024-123", "CVE-2024-12345678", "CVE-24-12345", "cve-2024-1234",
                          "CVE-2024-1234\n", "CVE-2024-12x4", "CVE-2024-1234 "}) {
    package.cves = {bad};
    EXPECT_THROW(write_package(package, dir_.path().string()), Error) << bad;
  }
  package.cves = {};
  for (const std::string& bad : {std::string(39, 'a'), std::string(40, 'A'), std::string()}) {
    package.upstream_commits = {bad};
    EXPECT_THROW(write_package(package, dir_.path().string()), Error) << bad;
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
