// What of the kernel's log ends a probation, and what does not.
#include "apply/trouble.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "objdiff/base/error.h"

namespace ksplice {
namespace {

std::string kind(const std::string& record) {
  const std::optional<KernelRecord> parsed = parse_kernel_record(record);
  if (!parsed) return "no record";
  const TroubleWord* word = find_trouble(*parsed);
  return word == nullptr ? "" : std::string(word->kind);
}

TEST(TroubleTest, Records) {
  const std::optional<KernelRecord> record =
      parse_kernel_record("30,4711,5140900,-;a message; with more\n SUBSYSTEM=pci\n");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->facility, 3u);
  EXPECT_EQ(record->sequence, 4711u);
  EXPECT_EQ(record->text, "a message; with more");
  for (const char* text : {"", "6", "6,", "6,1", "x,1,2,-;text", "6,y,2,-;text", "6,1,2,-", ",,,;"})
    EXPECT_EQ(kind(text), "no record") << text;
}

// As 6.1.176, 6.12.117 and 7.3 wrote them.
TEST(TroubleTest, WhatTheKernelSays) {
  EXPECT_EQ(kind("4,1,2,-;------------[ cut here ]------------\n"), "warning");
  EXPECT_EQ(kind("4,1,2,-;---[ end trace 0000000000000000 ]---\n"), "warning");
  EXPECT_EQ(kind("1,1,2,-;BUG: kernel NULL pointer dereference, address: 0000000000000008"),
            "oops");
  EXPECT_EQ(kind("1,1,2,-;BUG: unable to handle page fault for address: ffffc90000a0b000"), "oops");
  EXPECT_EQ(kind("4,1,2,-;general protection fault, probably for non-canonical address 0x1: 0000 "
                 "[#1] PREEMPT SMP NOPTI"),
            "oops");
  EXPECT_EQ(kind("0,1,2,-;watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:99]"), "lockup");
  EXPECT_EQ(kind("3,1,2,-;\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this "
                 "message."),
            "lockup");
  EXPECT_EQ(kind("3,1,2,-;rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"), "stall");
  EXPECT_EQ(kind("3,1,2,-;rcu: INFO: rcu_sched self-detected stall on CPU"), "stall");
  EXPECT_EQ(kind("3,1,2,c;INFO: rcu_tasks detected stalls on tasks:"), "stall");
  for (const char* harmless :
       {"6,1,2,-;rcu: Hierarchical SRCU implementation.",
        "4,1,2,-;ksplice: loading out-of-tree module taints kernel.",
        "6,1,2,-;IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready",
        "6,1,2,-;perf: interrupt took too long (2509 > 2500), lowering", "6,1,2,-;"})
    EXPECT_EQ(kind(harmless), "") << harmless;
}

// Whoever may write to /dev/kmsg writes with another facility: the kernel sees to it.
TEST(TroubleTest, NobodyElseSaysIt) {
  for (const TroubleWord& word : trouble_words()) {
    const std::string text(word.text);
    EXPECT_EQ(kind("3,1,2,-;" + text), word.kind) << text;
    for (const char* facility : {"8", "11", "12", "30", "80", "184"})
      EXPECT_EQ(kind(std::string(facility) + ",1,2,-;" + text), "") << text;
    EXPECT_EQ(kind("3,1,2,-;x " + text), "") << text << ": in the midst of a record";
    if (word.is_whole) {
      EXPECT_EQ(kind("3,1,2,-;" + text + "x"), "") << text;
    }
  }
}

// A record of the kernel that begins with the name of a program or a network device, which has at
// most 15 characters, is never taken for one of these.
TEST(TroubleTest, NamesAreTooShort) {
  constexpr size_t LongestName = 15;
  for (const TroubleWord& word : trouble_words()) {
    EXPECT_GT(word.text.size(), LongestName) << word.text;
    const std::string name(word.text.substr(0, LongestName));
    EXPECT_EQ(kind("6,1,2,-;" + name + "[123]: segfault at 0 ip 0 sp 0 error 4 in " +
                   std::string(word.text)),
              "")
        << name;
    EXPECT_EQ(kind("6,1,2,-;" + name + ": renamed from eth0"), "") << name;
  }
}

class TroubleWatchTest : public testing::Test {
 protected:
  TroubleWatchTest() { taint("0"); }
  void put(const std::string& file, std::string_view content) {
    std::filesystem::create_directories(host_.path(file).parent_path());
    write_file(host_.path(file), content);
  }
  void taint(const std::string& value) { put("/proc/sys/kernel/tainted", value + "\n"); }
  TempDir dir_;
  Host host_{dir_.path()};
};

TEST_F(TroubleWatchTest, WithoutALogNothingIsPromised) {
  EXPECT_THROW(TroubleWatch watch(host_), Error);
}

TEST_F(TroubleWatchTest, WhatWasThereBeforeDoesNotCount) {
  put("/dev/kmsg", "4,7,2,-;------------[ cut here ]------------\n");
  taint("512");
  TroubleWatch before(host_);
  EXPECT_EQ(before.last_seen(), 7u);
  EXPECT_EQ(before.taint(), 512u);
  TroubleWatch same(host_, 7, 512);
  EXPECT_FALSE(same.look());
  TroubleWatch earlier(host_, 6, 512);
  EXPECT_EQ(earlier.look().value_or(""), "warning:");
}

TEST_F(TroubleWatchTest, TheTaintTellsWhatWasOverwritten) {
  put("/dev/kmsg", "");
  TroubleWatch watch(host_);
  taint("4096");  // a module from elsewhere, as each of an update is
  EXPECT_FALSE(watch.look());
  taint("4224");
  EXPECT_EQ(watch.look().value_or(""), "the kernel is tainted by 0x80 since");
}

}  // namespace
}  // namespace ksplice
