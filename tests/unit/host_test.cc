#include "apply/host.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

// ELF notes: a Linux version note, then a GNU build id.
std::vector<uint8_t> notes() {
  return {6,   0,   0, 0, 1, 0,    0,   0,   0x01, 1, 0,    0,    'L',  'i', 'n',
          'u', 'x', 0, 0, 0, 0x5a, 0,   0,   0,    4, 0,    0,    0,    4,   0,
          0,   0,   3, 0, 0, 0,    'G', 'N', 'U',  0, 0xde, 0xad, 0x0b, 0xee};
}

class HostTest : public testing::Test {
 protected:
  void put(const std::string& path, std::string_view content) {
    std::filesystem::path file = host_.path(path);
    std::filesystem::create_directories(file.parent_path());
    write_file(file, content);
  }
  void put_notes(const std::string& path, const std::vector<uint8_t>& content) {
    put(path, {reinterpret_cast<const char*>(content.data()), content.size()});
  }
  std::string failure(const RunLocation& location) {
    try {
      host_.address(location);
    } catch (const Error& error) {
      return error.code + ": " + error.what();
    }
    return "found";
  }

  TempDir dir_;
  Host host_{dir_.path()};
};

TEST_F(HostTest, Identity) {
  put("/proc/sys/kernel/osrelease", "6.1.0-50-cloud-amd64\n");
  put_notes("/sys/kernel/notes", notes());
  EXPECT_EQ(host_.release(), "6.1.0-50-cloud-amd64");
  EXPECT_EQ(host_.build_id(), "dead0bee");
}

TEST_F(HostTest, DamagedNotes) {
  std::vector<uint8_t> whole = notes();
  EXPECT_EQ(build_id_of_notes({whole.begin(), whole.begin() + 24}, "notes"), "");
  for (size_t length : {43, 41, 37})
    EXPECT_THROW(
        build_id_of_notes({whole.begin(), whole.begin() + static_cast<long>(length)}, "notes"),
        Error);
  put_notes("/sys/kernel/notes", {});
  EXPECT_THROW(host_.build_id(), Error);
}

TEST_F(HostTest, Modules) {
  put("/sys/module/tcp_mod/initstate", "live\n");
  put_notes("/sys/module/tcp_mod/notes/.note.gnu.build-id", notes());
  std::filesystem::create_directories(host_.path("/sys/module/printk/parameters"));
  std::filesystem::create_directories(host_.path("/sys/module/tcp_mod/holders/user_b"));
  std::filesystem::create_directories(host_.path("/sys/module/tcp_mod/holders/user_a"));
  EXPECT_TRUE(host_.is_module_loaded("tcp_mod"));
  EXPECT_FALSE(host_.is_module_loaded("printk")) << "built in";
  EXPECT_FALSE(host_.is_module_loaded("absent"));
  EXPECT_EQ(host_.module_build_id("tcp_mod"), "dead0bee");
  EXPECT_EQ(host_.module_build_id("absent"), "");
  EXPECT_EQ(host_.module_users("tcp_mod"), (std::vector<std::string>{"user_a", "user_b"}));
  EXPECT_EQ(host_.module_users("absent"), std::vector<std::string>{});
}

TEST_F(HostTest, Addresses) {
  put("/proc/kallsyms",
      "0000000000000000 A fixed_percpu_data\n"
      "ffffffff9a000000 T _text\n"
      "ffffffff9a001000 T kfree\n"
      "ffffffff9a001100 t helper\n"
      "ffffffff9a001200 t helper\n"
      "ffffffff9a002000 T twice\n"
      "ffffffff9b000000 r __ksymtab_twice\n"
      "ffffffff9a003000 W weak_one\n"
      "ffffffffc0001000 t kfree\t[tcp_mod]\n"
      "ffffffffc0002000 T twice\t[tcp_mod]\n"
      "ffffffffc0003000 T mod_export\t[tcp_mod]\n"
      "0000000000027a40 d mod_percpu\t[tcp_mod]\n");
  put("/sys/module/tcp_mod/initstate", "live\n");
  put("/sys/module/tcp_mod/sections/.text", "0xffffffffc0000000\n");
  EXPECT_EQ(host_.address({"vmlinux", "", "", 0x123, false}), 0xffffffff9a000123u);
  EXPECT_EQ(host_.address({"vmlinux", "", "", 0x123, true}), 0x123u);
  EXPECT_EQ(host_.address({"tcp_mod", ".text", "", 0x40, false}), 0xffffffffc0000040u);
  EXPECT_EQ(host_.address({"tcp_mod", "", "kfree", 1, false}), 0xffffffff9a001001u);
  EXPECT_EQ(host_.address({"tcp_mod", "", "twice", 0, false}), 0xffffffff9a002000u);
  EXPECT_EQ(host_.address({"tcp_mod", "", "weak_one", 0, false}), 0xffffffff9a003000u);
  EXPECT_EQ(host_.address({"tcp_mod", "", "mod_export", 0, false}), 0xffffffffc0003000u);
  EXPECT_EQ(host_.address({"tcp_mod", ".data..percpu", "", 8, true, "mod_percpu"}), 0x27a48u);
  EXPECT_EQ(host_.address({"tcp_mod", "", "", 0, false, "kfree"}), 0xffffffffc0001000u);
  EXPECT_EQ(failure({"tcp_mod", ".data..percpu", "", 0, true, "helper"}),
            "failed_to_find: helper of module tcp_mod is not in /proc/kallsyms");
  EXPECT_EQ(failure({"tcp_mod", "", "helper", 0, false}),
            "failed_to_find: helper is there more than once in /proc/kallsyms");
  EXPECT_EQ(failure({"tcp_mod", "", "absent", 0, false}),
            "failed_to_find: absent is not in /proc/kallsyms");
  EXPECT_EQ(failure({"tcp_mod", ".bss", "", 0, false}),
            "failed_to_find: the kernel does not tell where section .bss of module tcp_mod is");
  EXPECT_EQ(failure({"tcp_mod", "../../x", "", 0, false}),
            "failed_to_find: module tcp_mod: no section \"../../x\"");
  EXPECT_EQ(failure({"absent", ".text", "", 0, false}),
            "target_not_loaded: module absent is not loaded");
}

TEST_F(HostTest, HiddenAddresses) {
  put("/proc/kallsyms", "0000000000000000 T _text\n0000000000000000 T kfree\n");
  put("/sys/module/tcp_mod/initstate", "live\n");
  put("/sys/module/tcp_mod/sections/.text", "0x0000000000000000\n");
  EXPECT_EQ(failure({"vmlinux", "", "", 0, false}),
            "failed_to_find: the kernel hides its addresses: _text is 0 in /proc/kallsyms");
  EXPECT_EQ(failure({"tcp_mod", "", "kfree", 0, false}),
            "failed_to_find: the kernel hides its addresses: kfree is 0 in /proc/kallsyms");
  EXPECT_EQ(failure({"tcp_mod", ".text", "", 0, false}),
            "failed_to_find: the kernel hides where section .text of module tcp_mod is");
}

TEST_F(HostTest, LoadingObstacles) {
  EXPECT_EQ(host_.loading_obstacle(), "");
  put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
  put("/sys/module/module/parameters/sig_enforce", "N\n");
  put("/proc/sys/kernel/modules_disabled", "0\n");
  EXPECT_EQ(host_.loading_obstacle(), "");
  put("/proc/sys/kernel/modules_disabled", "1\n");
  EXPECT_EQ(host_.loading_obstacle(),
            "loading modules is switched off until the next boot (kernel.modules_disabled)");
  put("/sys/module/module/parameters/sig_enforce", "Y\n");
  EXPECT_EQ(host_.loading_obstacle(), "the kernel loads only signed modules (module.sig_enforce)");
  put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
  EXPECT_EQ(host_.loading_obstacle(),
            "the kernel is locked down (integrity) and loads only signed modules");
}

}  // namespace
}  // namespace ksplice
