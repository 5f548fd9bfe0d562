// Which addresses ksplice-trace probes for an update, a tarball and a function, on hosts made of
// files.
#include "apply/trace/targets.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "tests/unit/package_samples.h"
#include "tests/unit/table_module.h"

namespace ksplice {
namespace {

constexpr uint64_t Text = 0xffffffff81000000, Receive = Text + 0x100, Body = 0xffffffffc0001000;

class TraceTargetsTest : public testing::Test {
 protected:
  void put(const std::string& path, std::string_view content) {
    const std::filesystem::path file = host_.path(path);
    std::filesystem::create_directories(file.parent_path());
    write_file(file, content);
  }

  void SetUp() override {
    put("/proc/kallsyms", kallsyms_);
    std::string note("\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0", 16);
    for (int i = 0; i < 20; ++i) note += "\x01\x23\x45\x67\x89\xab\xcd\xef"[i % 8];
    put("/sys/kernel/notes", note);
  }

  void put_update(const std::string& id, const std::string& functions) {
    put("/sys/kernel/ksplice/" + id + "/stage", "applied\n");
    put("/sys/kernel/ksplice/" + id + "/functions", functions);
  }

  // A tarball that changes tcp_v4_rcv, because of ip_helper, too.
  Package package() {
    Package made = ksplice::example();
    PackageFunction& function = made.kernels[0].targets[0].functions[0];
    function.reasons =
        nlohmann::json::array({{{"kind", "inlined"}, {"detail", "ip_helper: movl %eax, %ebx"}}});
    made.kernels[0].targets[0].functions.push_back(
        {"fresh", "net/ipv4/tcp_ipv4.o", "new", nlohmann::json::array()});
    put_functions(made, {{"tcp_v4_rcv", "tcp_v4_rcv"}},
                  R"({"name":"tcp_v4_rcv","target":"vmlinux","offset":256})");
    return made;
  }

  void put_functions(Package& made, const TableSource& functions, const std::string& symbols) {
    const PackageTarget& target = made.kernels[0].targets[0];
    made.files[target.file] = table_module(dir_.path(), functions);
    made.files[target.final] = bytes(R"({"symbols":[)" + symbols + R"(],"fields":[]})");
  }

  TraceTargets find(const std::vector<std::string>& words) {
    return find_targets(host_, SymbolTable(kallsyms_), words);
  }

  std::string failure(const std::vector<std::string>& words) {
    try {
      find(words);
    } catch (const Error& error) {
      return error.code + ": " + error.what();
    }
    return "found";
  }

  std::string kallsyms_ =
      "ffffffff81000000 T _text\n"
      "ffffffff81000100 T tcp_v4_rcv\n"
      "ffffffff81000200 t twice\n"
      "ffffffff81000300 t twice\n"
      "ffffffff81000400 t part.isra.0\n"
      "ffffffffc0301000 t helper\t[ext4]\n"
      "ffffffffc0001000 t ksplice_abc_tcp_v4_rcv\t[ksplice_abc_vmlinux]\n";
  TempDir dir_;
  Host host_{dir_.path()};
};

TEST_F(TraceTargetsTest, AFunctionByName) {
  const TraceTargets found = find({"tcp_v4_rcv", "tcp_v4_rcv", "ext4:helper"});
  ASSERT_EQ(found.functions.size(), 2u);
  EXPECT_EQ(found.functions[0].old_addr, Receive);
  EXPECT_EQ(found.functions[0].module, "vmlinux");
  EXPECT_TRUE(found.functions[0].new_addrs.empty());
  EXPECT_EQ(found.functions[1].module, "ext4");
}

TEST_F(TraceTargetsTest, AllOfOneName) {
  EXPECT_EQ(find({"twice"}).functions.size(), 2u);
  const TraceTargets found = find({"part"});
  ASSERT_EQ(found.functions.size(), 1u);
  EXPECT_EQ(found.functions[0].name, "part.isra.0");
  EXPECT_EQ(found.notes.size(), 1u);
}

TEST_F(TraceTargetsTest, AFunctionThatIsReplaced) {
  put_update("abc", "tcp_v4_rcv 0xffffffff81000100 0xffffffffc0001000 - vmlinux jump\n");
  for (const char* word : {"tcp_v4_rcv", "abc"}) {
    const TraceTargets found = find({word});
    ASSERT_EQ(found.functions.size(), 1u);
    EXPECT_EQ(found.functions[0].old_addr, Receive);
    EXPECT_EQ(found.functions[0].new_addrs, (std::vector<uint64_t>{Body}));
    EXPECT_EQ(found.functions[0].update, "abc");
  }
  EXPECT_EQ(applied_bodies(host_), (std::vector<std::pair<uint64_t, uint64_t>>{{Receive, Body}}));
}

TEST_F(TraceTargetsTest, UpdatesOnTopOfEachOther) {
  put_update("abc", "tcp_v4_rcv 0xffffffff81000100 0xffffffffc0001000 - vmlinux jump\n");
  put_update("def", "tcp_v4_rcv 0xffffffffc0001000 0xffffffffc0002000 - vmlinux jump\n");
  const TraceTargets found = find({"def", "abc"});
  ASSERT_EQ(found.functions.size(), 1u);
  EXPECT_EQ(found.functions[0].old_addr, Receive);
  EXPECT_EQ(found.functions[0].new_addrs, (std::vector<uint64_t>{Body, Body + 0x1000}));
}

TEST_F(TraceTargetsTest, BodiesInTheOrderInWhichTheyStand) {
  put_update("zzz", "tcp_v4_rcv 0xffffffff81000100 0xffffffffc0001000 - vmlinux jump\n");
  put_update("aaa", "tcp_v4_rcv 0xffffffffc0001000 0xffffffffc0002000 - vmlinux jump\n");
  const TraceTargets found = find({"tcp_v4_rcv"});
  ASSERT_EQ(found.functions.size(), 1u);
  EXPECT_EQ(found.functions[0].new_addrs, (std::vector<uint64_t>{Body, Body + 0x1000}));
  EXPECT_EQ(found.functions[0].update, "aaa");
}

TEST_F(TraceTargetsTest, ATarballThatIsNotApplied) {
  const TraceTargets found = find({write_package(package(), dir_.path())});
  ASSERT_EQ(found.functions.size(), 1u);  // and not what is new
  EXPECT_EQ(found.functions[0].name, "tcp_v4_rcv");
  EXPECT_EQ(found.functions[0].old_addr, Receive);
  EXPECT_EQ(found.functions[0].update, "abc12345");
}

// The data of the package says which of two: here the unchanged one has the plain name as symbol.
TEST_F(TraceTargetsTest, AStaticOfAnotherUnitHasTheSameName) {
  Package made = package();
  made.kernels[0].targets[0].functions = {
      {"twice", "net/ipv4/tcp_ipv4.o", "changed", nlohmann::json::array()}};
  put_functions(made, {{"twice", "twice.1"}},
                R"({"name":"twice","target":"vmlinux","offset":512},)"
                R"({"name":"twice.1","target":"vmlinux","offset":768})");
  const TraceTargets found = find({write_package(made, dir_.path())});
  ASSERT_EQ(found.functions.size(), 1u);
  EXPECT_EQ(found.functions[0].name, "twice");
  EXPECT_EQ(found.functions[0].old_addr, Text + 768);
  made.files[made.kernels[0].targets[0].final] = bytes(R"({"symbols":[],"fields":[]})");
  EXPECT_EQ(failure({write_package(made, dir_.path())}),
            "failed_to_find: the update does not say where twice is");
}

TEST_F(TraceTargetsTest, NotesWhatTheCompilerMadeBesideIt) {
  kallsyms_ +=
      "ffffffff81000500 t split\n"
      "ffffffff81000510 t split.cold\n"
      "ffffffff81000580 t split.part.0\n";
  const TraceTargets found = find({"split", "tcp_v4_rcv"});
  EXPECT_EQ(found.functions.size(), 2u);
  EXPECT_EQ(found.notes, (std::vector<std::string>{
                             "beside split there is split.part.0: calls that go only there "
                             "are not counted, unless it is named, too"}));
  EXPECT_EQ(find({"split", "split.part.0"}).functions.size(), 2u);
}

TEST_F(TraceTargetsTest, SaysWhy) {
  EXPECT_EQ(failure({"no_such"}), "unknown_function: the kernel has no function no_such");
  EXPECT_EQ(failure({"btrfs:x"}), "target_not_loaded: module btrfs is not loaded");
  const std::string tarball = write_package(package(), dir_.path());
  EXPECT_EQ(failure({tarball, "ip_helper"}),
            "inlined: ip_helper has no code of its own: the compiler made it part of tcp_v4_rcv");
  EXPECT_EQ(failure({"none/at/all.tar.gz"}).substr(0, 7), "failed:");
  put_update("abc", "tcp_v4_rcv 0x0000000000000000 0x0000000000000000 - vmlinux jump\n");
  EXPECT_EQ(failure({"abc"}), "failed_to_find: the kernel hides where tcp_v4_rcv is");
}

TEST_F(TraceTargetsTest, AStoredCopyTellsWhatIsInlined) {
  const std::string tarball = write_package(package(), dir_.path());
  const std::vector<uint8_t> content = read_file(tarball);
  put("/var/lib/ksplice/updates/abc12345/ksplice-abc12345.tar.gz",
      {reinterpret_cast<const char*>(content.data()), content.size()});
  EXPECT_EQ(failure({"ip_helper"}).substr(0, 8), "inlined:");
  EXPECT_EQ(find({"abc12345"}).functions.size(), 1u);
}

TEST_F(TraceTargetsTest, HiddenAddresses) {
  kallsyms_ = "0000000000000000 T _text\n";
  EXPECT_EQ(failure({"_text"}).substr(0, 14), "failed_to_find");
}

}  // namespace
}  // namespace ksplice
