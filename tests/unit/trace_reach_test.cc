// From where in which program a call came, on a host made of files.
#include "apply/trace/reach.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {
namespace {

class TraceReachTest : public testing::Test {
 protected:
  void SetUp() override {
    write_file(dir_.path() / "in.s",
               ".text\n.globl outer\n.type outer, @function\nouter: .zero 16\n.size outer, 16\n"
               ".type inner, @function\ninner: .zero 8\n.size inner, 8\n.zero 8\n");
    std::filesystem::create_directories(host_.path("/bin"));
    const std::string program = host_.path("/bin/program");
    ASSERT_EQ(run_command({KSPLICE_TEST_CC, "-nostdlib", "-no-pie", "-Wl,-Ttext=0x401000", "-e0",
                           "-o", program, dir_.path() / "in.s"})
                  .status,
              0);
    struct stat status = {};
    ASSERT_EQ(::stat(program.c_str(), &status), 0);
    inode_ = status.st_ino;
  }

  // Its code is at 0x10000 in its memory, as it begins at 0x1000 in the file.
  void put_process(uint32_t pid, uint64_t inode) {
    const std::filesystem::path folder = host_.path("/proc/" + std::to_string(pid));
    std::filesystem::create_directories(folder);
    std::filesystem::create_symlink("/bin/program", folder / "exe");
    write_file(folder / "maps",
               "00000000-00001000 rw-p 00000000 00:00 0\n"
               "00010000-00011000 r-xp 00001000 fe:01 " +
                   std::to_string(inode) +
                   "                       /bin/program\n"
                   "00020000-00021000 r-xp 00000000 00:00 0   [vdso]\n");
  }

  void add(uint32_t pid, const std::vector<uint64_t>& frames, uint64_t calls,
           const std::vector<uint64_t>& kernel = {}) {
    data_.users.push_back({pid, frames, kernel, calls, 0});
    trace_process process = {};
    std::strcpy(process.name, "name");
    data_.processes[pid] = process;
  }

  std::vector<ReachRow> rows() { return reach_rows(data_, symbols_, users_); }

  uint64_t inode_ = 0;
  TempDir dir_;
  Host host_{dir_.path() / "root"};
  UserSymbols users_{host_};
  SymbolTable symbols_{
      "ffffffff81000000 T do_syscall_64\n"
      "ffffffff81000100 T asm_sysvec_apic_timer_interrupt\n"
      "ffffffff81000200 T asm_exc_page_fault\n"};
  TraceData data_;
};

TEST_F(TraceReachTest, NamesPlacesInPrograms) {
  put_process(7, inode_);
  put_process(8, inode_);
  add(7, {0x10004, 0x10012, 0x20010, 0x10019, 0x900000}, 5);
  add(8, {0x10004, 0x10012, 0x20010, 0x10019, 0x900000, 0x10004}, 2);
  const std::vector<ReachRow> found = rows();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].program, "/bin/program");
  EXPECT_EQ(found[0].frames,
            (std::vector<std::string>{"outer+0x4 [/bin/program]", "inner+0x2 [/bin/program]",
                                      "0x10 [vdso]", "0x1019 [/bin/program]"}));
  EXPECT_EQ(found[0].calls, 7u);
  EXPECT_EQ(found[0].pids, (std::set<uint32_t>{7, 8}));
  EXPECT_TRUE(found[0].gone.empty());
}

TEST_F(TraceReachTest, AFileThatIsAnotherOneNowTellsNothing) {
  put_process(7, inode_ + 1);
  add(7, {0x10004}, 1);
  EXPECT_EQ(rows()[0].frames, (std::vector<std::string>{"0x1004 [/bin/program]"}));
}

TEST_F(TraceReachTest, ProcessesThatWentAway) {
  put_process(7, inode_);
  users_.note(7);  // while it was there
  std::filesystem::remove_all(host_.path("/proc/7"));
  add(7, {0x10004}, 3);
  add(9, {0x10004}, 2);  // nobody has seen it
  add(10, {0x77004}, 1);
  const std::vector<ReachRow> found = rows();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].program, "/bin/program");
  EXPECT_EQ(found[0].frames, (std::vector<std::string>{"outer+0x4 [/bin/program]"}));
  EXPECT_EQ(found[0].gone, (std::set<uint32_t>{7}));
  EXPECT_FALSE(found[0].is_unread);
  EXPECT_EQ(found[1].program, "name");
  EXPECT_TRUE(found[1].is_unread);
  EXPECT_TRUE(found[1].frames.empty());
  EXPECT_EQ(found[1].gone, (std::set<uint32_t>{9, 10}));
  EXPECT_EQ(found[1].calls, 3u);
}

TEST_F(TraceReachTest, AnInterruptIsNotTheProgramsDeed) {
  put_process(7, inode_);
  add(7, {0x10004}, 3, {0xffffffff81000110, 0xffffffff81000010});
  add(7, {0x10004}, 2, {0xffffffff81000210});
  add(11, {}, 1);  // a thread of the kernel
  const std::vector<ReachRow> found = rows();
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].is_interrupt);
  EXPECT_FALSE(found[1].is_interrupt);
  EXPECT_TRUE(found[2].is_thread);
  EXPECT_EQ(found[2].program, "name");
}

TEST(UserSymbols, ReadsMaps) {
  const std::vector<Mapping> found = parse_maps(
      "55d0c0000000-55d0c0001000 r--p 00000000 fe:01 12                         /bin/a\n"
      "55d0c0001000-55d0c0003000 r-xp 00001000 fe:01 12                         /bin/a b "
      "(deleted)\n"
      "7ffd00000000-7ffd00001000 --xp 00000000 00:00 0\n"
      "garbage\n"
      "x-y r-xp 0 0:0 0\n"
      "1000-2000 r-xp zz fe:01 12 /bin/a\n"
      "1000");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].begin, 0x55d0c0001000u);
  EXPECT_EQ(found[0].end, 0x55d0c0003000u);
  EXPECT_EQ(found[0].offset, 0x1000u);
  EXPECT_EQ(found[0].inode, 12u);
  EXPECT_EQ(found[0].path, "/bin/a b (deleted)");
  EXPECT_EQ(found[1].path, "");
}

TEST_F(TraceReachTest, DamagedFilesHaveNoSymbols) {
  const std::vector<uint8_t> whole = read_file(host_.path("/bin/program"));
  EXPECT_EQ(ElfFunctions(whole).text(0x1004), "outer+0x4");
  EXPECT_EQ(ElfFunctions({}).text(0x1004), "");
  // Never a read outside.
  for (size_t place = 0; place < whole.size(); place += place < 512 ? 1 : 61) {
    std::vector<uint8_t> altered = whole;
    altered[place] ^= 0x80;
    ElfFunctions(altered).text(0x1004);
    ElfFunctions(std::span(whole).first(place)).text(0x1004);
  }
}

}  // namespace
}  // namespace ksplice
