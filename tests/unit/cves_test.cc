// Which CVEs a host has fixed, and how that is told.
#include "apply/cves.h"

#include "apply/store.h"
#include "objdiff/base/utc.h"
#include "tests/unit/package_samples.h"

namespace ksplice {
namespace {

using Words = std::vector<std::string>;

class CvesTest : public PackageTest {
 protected:
  CvesTest() {
    put("/proc/sys/kernel/osrelease", "6.1.0-50-cloud-amd64\n");
    put("/proc/version",
        "Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian "
        "12.2.0-14) 12.2.0) #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)\n");
    put("/sys/kernel/notes", std::string("\4\0\0\0\2\0\0\0\3\0\0\0GNU\0\xde\xad\0\0", 20));
  }
  void put(const std::string& file, std::string_view content) {
    std::filesystem::create_directories(host_.path(file).parent_path());
    write_file(host_.path(file), content);
  }
  void put_changelog(const std::string& text) {
    const Content packed = gzip(bytes(text));
    put("/usr/share/doc/linux-image-6.1.0-50-cloud-amd64/changelog.gz",
        {reinterpret_cast<const char*>(packed.data()), packed.size()});
  }
  // With a stored copy; stage is empty if the kernel does not know it.
  void put_update(const std::string& id, const Words& cves, const std::string& stage) {
    Package package = example();
    package.id = id;
    package.kernels[0].targets[0].module = "ksplice_" + id + "_vmlinux";
    package.cves = cves;
    std::string why;
    ASSERT_TRUE(store_copy(host_, id, read_file(write_package(package, dir_.path())), why)) << why;
    if (!stage.empty()) put("/sys/kernel/ksplice/" + id + "/stage", stage + "\n");
  }
  std::string states(const Words& asked = {}) {
    std::string text;
    for (const CveState& state : cve_states(host_, asked)) {
      text += state.cve + " " + state.state;
      for (const std::string& id : state.updates) text += " " + id;
      text += state.why.empty() ? "\n" : " (" + state.why + ")\n";
    }
    return text;
  }

  Host host_{dir_.path() / "host"};
};

constexpr const char* Changelog =
    "linux-signed-amd64 (6.1.180+1) bookworm; urgency=medium\n\n"
    "  * Sign kernel from linux 6.1.180-1\n\n    - later (CVE-2024-9999)\n\n"
    " -- A <a@example.org>  Thu, 09 Jul 2026 00:00:00 +0000\n\n"
    "linux-signed-amd64 (6.1.176+1) bookworm; urgency=high\n\n"
    "  * Sign kernel from linux 6.1.176-1\n\n    - now (CVE-2024-1111, CVE-2024-11112)\n\n"
    "linux-signed-amd64 (6.1.170+1) bookworm; urgency=high\n\n    - before\n      "
    "(CVE-2023-5555)\n";

TEST_F(CvesTest, WhetherTheKernelHasAllOfAnUpdate) {
  Package package = example();
  const std::string text = "* one (CVE-2024-1111)\n* commit 0123456789abcdef of upstream\n";
  EXPECT_FALSE(is_in_kernel(package, text)) << "nobody knows what it fixes";
  package.upstream_commits = {"0123456789abffffffffffffffffffffffffffff"};
  EXPECT_TRUE(is_in_kernel(package, text));
  package.upstream_commits.push_back("fedcba9876543210fedcba9876543210fedcba98");
  EXPECT_FALSE(is_in_kernel(package, text));
  package.cves = {"CVE-2024-1111"};
  EXPECT_TRUE(is_in_kernel(package, text)) << "its CVEs say more than its commits";
  package.cves.push_back("CVE-2024-111");
  EXPECT_FALSE(is_in_kernel(package, text));
  EXPECT_FALSE(is_in_kernel(package, std::nullopt));
}

TEST_F(CvesTest, OfTheKernelThatRuns) {
  EXPECT_EQ(kernel_version(host_), "6.1.176-1");
  EXPECT_FALSE(kernel_cves(host_).has_value());
  put_changelog(Changelog);
  EXPECT_EQ(kernel_cves(host_),
            (std::set<std::string>{"CVE-2024-1111", "CVE-2024-11112", "CVE-2023-5555"}));
  // Packages of kernels that are not signed have the version in the head.
  put_changelog(
      "linux (6.1.180-1) x; y\n  * CVE-2024-9999\nlinux (6.1.176-1) x; y\n  * CVE-2024-1\n"
      "  * CVE-2024-2222: text\n");
  EXPECT_EQ(kernel_cves(host_), std::set<std::string>{"CVE-2024-2222"});
  put_changelog("linux (6.1.176-10) x; y\n  * CVE-2024-9999\n");
  EXPECT_FALSE(kernel_cves(host_).has_value()) << "of other versions only";
  put_changelog(Changelog);
  put("/proc/version", "Linux version 6.18.44 (builder@sandbox)\n");
  EXPECT_FALSE(kernel_cves(host_).has_value());
}

TEST_F(CvesTest, States) {
  put_update("one", {"CVE-2024-1111", "CVE-2024-3333"}, "applied");
  put_update("two", {"CVE-2024-3333", "CVE-2024-4444"}, "reversed");
  put_update("three", {"CVE-2023-5555"}, "");
  put_update("none", {}, "applied");
  EXPECT_EQ(states({"CVE-2024-9999"}),
            "CVE-2023-5555 unknown (update three is not applied)\n"
            "CVE-2024-1111 fixed_live one\n"
            "CVE-2024-3333 fixed_live one (update two is not applied)\n"
            "CVE-2024-4444 unknown (update two is not applied)\n"
            "CVE-2024-9999 unknown\n");
  put_changelog(Changelog);
  EXPECT_EQ(states({"CVE-2024-9999", "CVE-2024-11112"}),
            "CVE-2023-5555 fixed_by_kernel (update three is not applied)\n"
            "CVE-2024-1111 fixed_live one\n"
            "CVE-2024-11112 fixed_by_kernel\n"
            "CVE-2024-3333 fixed_live one (update two is not applied)\n"
            "CVE-2024-4444 open (update two is not applied)\n"
            "CVE-2024-9999 open\n");
}

// A module that came later and is not patched runs the old code.
TEST_F(CvesTest, NotFixedWhereAModuleIsNotPatched) {
  Package package = example();
  package.cves = {"CVE-2024-3333"};
  package.kernels[0].build_id = "dead0000";
  PackageTarget module = package.kernels[0].targets[0];
  put("/sys/kernel/notes", std::string("\4\0\0\0\4\0\0\0\3\0\0\0GNU\0\xde\xad\0\0", 20));
  module.name = "ifb";
  module.module = "ksplice_" + package.id + "_ifb";
  package.kernels[0].targets.push_back(module);
  std::string why;
  ASSERT_TRUE(store_copy(host_, package.id, read_file(write_package(package, dir_.path())), why));
  const std::string update = "/sys/kernel/ksplice/" + package.id;
  put(update + "/stage", "applied\n");
  put(update + "/targets", "vmlinux ksplice_abc12345_vmlinux applied\n");
  EXPECT_EQ(states(), "CVE-2024-3333 fixed_live abc12345\n");
  put("/sys/module/ifb/initstate", "live\n");
  EXPECT_EQ(states(), "CVE-2024-3333 unknown (update abc12345 is applied, but not to ifb)\n");
}

TEST_F(CvesTest, DamagedCopyIsAnError) {
  put_update("one", {"CVE-2024-1111"}, "applied");
  put("/var/lib/ksplice/updates/one/ksplice-one.tar.gz", "damaged");
  EXPECT_THROW(cve_states(host_, {}), Error);
}

// Against the fields of the OpenVEX specification 0.2.0: all that it requires, and none that it
// does not know.
TEST_F(CvesTest, OpenVex) {
  EXPECT_THROW(to_openvex(host_, {}, 0), Error) << "no statements";
  put_changelog(Changelog);
  put_update("one", {"CVE-2024-3333"}, "applied");
  const nlohmann::json vex =
      to_openvex(host_, cve_states(host_, {"CVE-2024-1111", "CVE-2024-9999"}), 1796023689);
  EXPECT_EQ(vex["@context"], "https://openvex.dev/ns/v0.2.0");
  EXPECT_EQ(vex["@id"], "urn:ksplice:vex:dead:1796023689");
  EXPECT_EQ(vex["timestamp"], "2026-11-30T07:28:09Z");
  EXPECT_EQ(vex["version"], 1);
  EXPECT_TRUE(vex["author"].is_string());
  EXPECT_EQ(vex.size(), 7u) << "and tooling, and statements";
  ASSERT_EQ(vex["statements"].size(), 3u);
  const Words wanted = {"fixed", "fixed", "under_investigation"};
  for (size_t i = 0; i < 3; ++i) {
    const nlohmann::json& statement = vex["statements"][i];
    EXPECT_EQ(statement["status"], wanted[i]);
    EXPECT_EQ(statement.size(), 4u);
    EXPECT_EQ(statement["products"],
              nlohmann::json::parse("[{\"@id\":\"pkg:deb/debian/"
                                    "linux-image-6.1.0-50-cloud-amd64@6.1.176-1?arch=amd64\"}]"));
    EXPECT_TRUE(statement["status_notes"].is_string());
  }
  EXPECT_EQ(vex["statements"][1]["vulnerability"], nlohmann::json({{"name", "CVE-2024-3333"}}));
}

TEST_F(CvesTest, Prometheus) {
  put_changelog(Changelog);
  put_update("one", {"CVE-2024-3333"}, "applied");
  put_update("two", {"CVE-2024-4444"}, "reversed");
  EXPECT_EQ(to_prometheus(host_, cve_states(host_, {})),
            "# HELP ksplice_kernel_info The kernel that runs.\n"
            "# TYPE ksplice_kernel_info gauge\n"
            "ksplice_kernel_info{release=\"6.1.0-50-cloud-amd64\",version=\"6.1.176-1\",build_id="
            "\"dead\"} 1\n"
            "# HELP ksplice_update_applied Whether an update that the kernel knows is applied.\n"
            "# TYPE ksplice_update_applied gauge\n"
            "ksplice_update_applied{id=\"one\",stage=\"applied\"} 1\n"
            "ksplice_update_applied{id=\"two\",stage=\"reversed\"} 0\n"
            "# HELP ksplice_cve_fixed Whether a CVE is fixed, live or by the kernel itself.\n"
            "# TYPE ksplice_cve_fixed gauge\n"
            "ksplice_cve_fixed{cve=\"CVE-2024-3333\",state=\"fixed_live\"} 1\n"
            "ksplice_cve_fixed{cve=\"CVE-2024-4444\",state=\"open\"} 0\n");
}

}  // namespace
}  // namespace ksplice
