// Marks, quarantine, and what is brought back at boot, as far as it can be told without a kernel.
#include "apply/boot_state.h"

#include "apply/boot.h"
#include "apply/probation.h"
#include "apply/store.h"
#include "apply/wanted.h"
#include "objdiff/base/error.h"
#include "tests/unit/package_samples.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

constexpr const char* File = "/var/lib/ksplice/boot.json";

class BootStateTest : public PackageTest {
 protected:
  BootStateTest() {
    start("first");
    put("/proc/cmdline", "root=/dev/vda1 quiet\n");
    put("/proc/version", "Linux version 6.1.0-50-amd64 #1 SMP Debian 6.1.176-1 (2026-01-01)\n");
    put_kernel("ffffffffffffffffffffffffffffffffffffffff");
  }
  void put(const std::string& file, std::string_view content) {
    fs::create_directories(host_.path(file).parent_path());
    write_file(host_.path(file), content);
  }
  void apply(const std::string& id) { put("/sys/kernel/ksplice/" + id + "/stage", "applied\n"); }
  std::string stage(const std::string& id) {
    return read_text(host_.path("/sys/kernel/ksplice/" + id + "/stage"));
  }
  // One that is applied and waits for its watcher; its time is over at once.
  void put_on_probation(const std::string& id, const std::string& command) {
    apply(id);
    put("/proc/sys/kernel/tainted", "0\n");
    put("/dev/kmsg", "");
    fs::create_directories(host_.path("/run"));
    Probation probation;
    probation.command = command;
    TryMark(host_, id, probation).keep();
  }
  // A command as of somebody who undoes the update and applies it again at that moment.
  std::string give_away() {
    return "sed -i 's/\"watcher\": [0-9]*/\"watcher\": 1/' " + host_.path(File).string();
  }
  ProbationEnd watch(const std::string& id) {
    return watch_probation(host_, id, [](const std::string&) {});
  }
  void put_kernel(const std::string& build_id) {
    std::string note("\4\0\0\0\24\0\0\0\3\0\0\0GNU\0", 16);
    for (size_t i = 0; i < build_id.size(); i += 2)
      note += static_cast<char>(std::stoi(build_id.substr(i, 2), nullptr, 16));
    put("/sys/kernel/notes", note);
  }
  void start(const std::string& boot) { put("/proc/sys/kernel/random/boot_id", boot + "\n"); }
  // The state that a host is left in which goes down while the updates are in that phase.
  void crash(const std::vector<std::string>& ids, Phase phase, bool is_stopped = false) {
    BootState state = read_boot_state(host_);
    for (const std::string& id : ids)
      state.marks.push_back({id, phase, boot_id(host_), 5, is_stopped, 0, {}});
    write_boot_state(host_, state);
  }
  std::vector<std::string> settled() {
    std::vector<Quarantined> fresh;
    settle(host_, fresh);
    std::vector<std::string> ids;
    for (const Quarantined& each : fresh) ids.push_back(each.id);
    return ids;
  }
  std::string refused(const std::string& id) {
    try {
      refuse_quarantined(host_, id);
      return "";
    } catch (const Error& error) {
      return error.code;
    }
  }
  // A tarball that is stored here, as one of an update that was applied.
  std::vector<uint8_t> want(const std::string& id, const LoadOptions& options = {}) {
    Package package = example();
    package.id = id;
    package.kernels[0].targets[0].module = "ksplice_" + id + "_vmlinux";
    const std::vector<uint8_t> tarball = read_file(write_package(package, dir_.path()));
    std::string why;
    EXPECT_TRUE(store_copy(host_, id, tarball, why)) << why;
    note_wanted(host_, id, tarball, options);
    return tarball;
  }
  std::vector<std::string> wanted() {
    std::vector<std::string> ids;
    for (const Wanted& each : list_wanted(host_)) ids.push_back(each.id);
    return ids;
  }
  Host host_{dir_.path() / "host"};
};

TEST_F(BootStateTest, NothingToNoteIsNoFile) {
  EXPECT_TRUE(read_boot_state(host_).marks.empty());
  {
    TryMark mark(host_, "abc");
    EXPECT_EQ(read_boot_state(host_).marks.at(0).id, "abc");
    EXPECT_EQ(read_boot_state(host_).marks.at(0).phase, Phase::Applying);
    EXPECT_EQ(refused("abc"), "") << "its own mark is in the way of nobody";
    mark.clear();
  }
  EXPECT_FALSE(fs::exists(host_.path("/var/lib/ksplice")));
  { TryMark not_applied(host_, "abc"); }
  EXPECT_FALSE(fs::exists(host_.path("/var/lib/ksplice")));
}

TEST_F(BootStateTest, WhatWasTriedWhenTheHostWentDownIsQuarantined) {
  crash({"abc"}, Phase::Applying);
  crash({"def", "ghi"}, Phase::Watched);
  EXPECT_EQ(settled(), std::vector<std::string>{}) << "the same boot";
  EXPECT_EQ(refused("abc"), "");
  start("second");
  EXPECT_EQ(refused("abc"), "quarantined") << "before anybody has moved it";
  EXPECT_EQ(settled(), (std::vector<std::string>{"abc", "def", "ghi"}));
  EXPECT_EQ(settled(), std::vector<std::string>{});
  EXPECT_TRUE(read_boot_state(host_).marks.empty());
  start("third");
  for (const char* id : {"abc", "def", "ghi"}) EXPECT_EQ(refused(id), "quarantined");
  EXPECT_EQ(refused("other"), "");
  if (::geteuid() != 0) return;
  lift_quarantine(host_, "def");
  EXPECT_EQ(refused("def"), "");
  EXPECT_EQ(refused("abc"), "quarantined");
  EXPECT_THROW(lift_quarantine(host_, "def"), Error);
}

TEST_F(BootStateTest, AHealthyHostQuarantinesNothing) {
  {
    TryMark mark(host_, "abc");
    mark.watch();
  }
  apply("abc");
  EXPECT_EQ(read_boot_state(host_).marks.at(0).phase, Phase::Watched);
  { TryMark extended(host_, "abc"); }
  EXPECT_EQ(read_boot_state(host_).marks.at(0).phase, Phase::Watched) << "it goes on";
  end_watch(host_);
  EXPECT_FALSE(fs::exists(host_.path(File)));
  start("second");
  EXPECT_EQ(settled(), std::vector<std::string>{});
}

TEST_F(BootStateTest, ShuttingDownInOrderIsNoCrashUntilTheThirdTime) {
  for (const char* next : {"second", "third"}) {
    TryMark mark(host_, "abc");
    mark.watch();
    note_stop(host_);
    start(next);
    EXPECT_EQ(settled(), std::vector<std::string>{}) << next;
    EXPECT_EQ(refused("abc"), "");
  }
  TryMark mark(host_, "abc");
  mark.watch();
  note_stop(host_);
  start("fourth");
  EXPECT_EQ(settled(), std::vector<std::string>{"abc"});
}

TEST_F(BootStateTest, WhatWasNotTriedAgainIsNotBlamed) {
  crash({"abc"}, Phase::Watched, true);
  start("second");
  EXPECT_EQ(settled(), std::vector<std::string>{});
  start("third");
  EXPECT_EQ(settled(), std::vector<std::string>{});
  EXPECT_TRUE(read_boot_state(host_).marks.empty());
}

TEST_F(BootStateTest, AProbationEndsOnlyByItsWatcher) {
  Probation probation;
  probation.seconds = 600;
  probation.command = "true";
  probation.after = 4711;
  probation.taint = 512;
  {
    TryMark mark(host_, "abc", probation);
    mark.keep();
  }
  end_watch(host_);
  note_stop(host_);
  apply("abc");
  {
    TryMark another_target(host_, "abc");
    EXPECT_TRUE(find_probation(read_boot_state(host_), "abc", "first")) << "in between, too";
  }
  const std::optional<Mark> mark = find_probation(read_boot_state(host_), "abc", "first");
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->probation->seconds, 600);
  EXPECT_EQ(mark->probation->command, "true");
  EXPECT_EQ(mark->probation->after, 4711u);
  EXPECT_EQ(mark->probation->taint, 512u);
  EXPECT_FALSE(is_watched(host_, *mark)) << "nobody has taken it";
  EXPECT_EQ(refused("abc"), "");
  start("second");
  EXPECT_FALSE(find_probation(read_boot_state(host_), "abc", "second"));
  EXPECT_EQ(settled(), std::vector<std::string>{"abc"});
}

TEST_F(BootStateTest, AWatcherLetsGoOfWhatIsNotItsOwnAnyMore) {
  for (const char* status : {"0", "1"}) {
    put_on_probation("abc", give_away() + "; exit " + status);
    EXPECT_EQ(watch("abc"), ProbationEnd::Over) << status;
    const std::optional<Mark> mark = find_probation(read_boot_state(host_), "abc", "first");
    ASSERT_TRUE(mark) << status;
    EXPECT_EQ(mark->probation->watcher, 1);
    EXPECT_EQ(refused("abc"), "") << status;
    EXPECT_EQ(stage("abc"), "applied\n");
  }
}

TEST_F(BootStateTest, AfterALockupNothingIsUndoneByItself) {
  put_on_probation("abc", "");
  put("/dev/kmsg", "0,1,2,-;watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:99]\n");
  EXPECT_EQ(watch("abc"), ProbationEnd::Stuck);
  EXPECT_EQ(refused("abc"), "quarantined");
  EXPECT_EQ(stage("abc"), "applied\n");
  EXPECT_NE(read_text(host_.path("/dev/kmsg")).find("ksplice-undo abc"), std::string::npos);
}

TEST_F(BootStateTest, TheHealthCommandHasTheSameSurroundingsEverywhere) {
  ::setenv("KSPLICE_TEST_STRAY", "1", 1);
  put("/proc/sys/kernel/tainted", "0\n");
  put("/dev/kmsg", "");
  EXPECT_NO_THROW(begin_probation(
      host_, 1, "[ \"$PWD\" = / ] && [ \"$HOME\" = /root ] && [ -z \"$KSPLICE_TEST_STRAY\" ]"));
  ::unsetenv("KSPLICE_TEST_STRAY");
}

TEST_F(BootStateTest, WhatIsLeftOfOneThatIsGoneIsNotPutBack) {
  {
    TryMark mark(host_, "abc");
    mark.watch();
  }
  { TryMark refused_this_time(host_, "abc"); }
  EXPECT_TRUE(read_boot_state(host_).marks.empty());
}

TEST_F(BootStateTest, AnUndoTakesTheRecordAwayFirst) {
  want("abc");
  {
    RecordAside record(host_, "abc");
    EXPECT_EQ(wanted(), std::vector<std::string>{});
  }
  EXPECT_EQ(wanted(), std::vector<std::string>{"abc"}) << "it was refused";
  EXPECT_EQ(list_wanted(host_).front().error, "");
  {
    RecordAside record(host_, "abc");
    record.keep_aside();
  }
  EXPECT_EQ(wanted(), std::vector<std::string>{});
  EXPECT_TRUE(forget_wanted(host_, "abc"));
  EXPECT_FALSE(forget_wanted(host_, "abc"));
  EXPECT_FALSE(fs::exists(host_.path("/var/lib/ksplice")));
}

TEST_F(BootStateTest, ACopyIsPutBackWhenAnotherOneCouldNotBeApplied) {
  const std::vector<uint8_t> tarball = want("abc");
  std::string why;
  const EarlierCopy earlier(host_, "abc"), none(host_, "def");
  for (const char* id : {"abc", "def"}) EXPECT_TRUE(store_copy(host_, id, bytes("other"), why));
  earlier.put_back();
  none.put_back();
  EXPECT_EQ(read_file(lasting_copy(host_, "abc")), tarball);
  EXPECT_EQ(wanted(), std::vector<std::string>{"abc"});
  EXPECT_EQ(find_copy(host_, "def"), "");
}

TEST_F(BootStateTest, AKilledToolsMarkIsNotForEver) {
  crash({"abc"}, Phase::Applying);
  { TryMark mark(host_, "def"); }
  EXPECT_TRUE(read_boot_state(host_).marks.empty());
  crash({"abc"}, Phase::Applying);
  forget_mark(host_, "abc");
  EXPECT_TRUE(read_boot_state(host_).marks.empty());
  crash({"abc"}, Phase::Applying);
  start("second");
  forget_mark(host_, "abc");
  EXPECT_EQ(refused("abc"), "quarantined") << "an undo does not lift it";
}

TEST_F(BootStateTest, DamageIsSaidAndNothingIsApplied) {
  for (const char* text :
       {"", "{", "[]", "{\"marks\":[]}", "{\"marks\":[{\"id\":\"abc\"}],\"quarantine\":[]}",
        "{\"marks\":[],\"quarantine\":[{\"id\":\"../x\",\"reason\":\"\",\"since\":0}]}",
        "{\"marks\":[{\"id\":\"abc\",\"phase\":\"x\",\"boot\":\"\",\"since\":0,"
        "\"stopped\":false,\"stops\":0}],\"quarantine\":[]}"}) {
    put(File, text);
    EXPECT_EQ(refused("abc"), "bad_state") << text;
    if (::geteuid() == 0) {
      EXPECT_THROW(bring_back(host_, {}), Error) << text;
    }
    EXPECT_EQ(read_text(host_.path(File)), text);
  }
  fs::remove(host_.path(File));
  fs::create_directories(host_.path(File));
  EXPECT_EQ(refused("abc"), "bad_state") << "a folder";
}

TEST_F(BootStateTest, AFolderThatCannotBeReadIsNotTakenForNone) {
  EXPECT_EQ(wanted(), std::vector<std::string>{});
  put("/var/lib/ksplice/updates", "a file");
  try {
    list_wanted(host_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "bad_state");
    EXPECT_NE(std::string(error.what()).find("/var/lib/ksplice/updates"), std::string::npos);
  }
  fs::remove_all(host_.path("/var/lib/ksplice"));
  put("/var/lib/ksplice", "a file");
  EXPECT_THROW(list_wanted(host_), Error);
}

TEST_F(BootStateTest, AStateThatCannotBeWrittenIsAnErrorWithThePath) {
  put("/var/lib/ksplice", "a file");
  try {
    TryMark mark(host_, "abc");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/var/lib/ksplice"), std::string::npos);
  }
}

TEST_F(BootStateTest, WantedAreInTheOrderInWhichTheyWereApplied) {
  LoadOptions options;
  options.settle = false;
  options.allow_busy = {"kthread"};
  options.late = "refuse";
  want("xyz", options);
  want("abc");
  want("mno");
  EXPECT_EQ(wanted(), (std::vector<std::string>{"xyz", "abc", "mno"}));
  LoadOptions later;
  later.late = "patch";
  want("xyz", later);
  EXPECT_EQ(wanted(), (std::vector<std::string>{"xyz", "abc", "mno"})) << "it keeps its place";
  const Wanted first = list_wanted(host_).front();
  EXPECT_FALSE(first.options.settle);
  EXPECT_EQ(first.options.allow_busy, std::vector<std::string>{"kthread"});
  EXPECT_EQ(first.options.late, "patch");
  remove_copy(host_, "xyz");
  want("xyz");
  EXPECT_EQ(wanted(), (std::vector<std::string>{"abc", "mno", "xyz"}));
  std::string why;
  EXPECT_TRUE(store_copy(host_, "only", bytes("a copy"), why));
  EXPECT_EQ(wanted().size(), 3u) << "a copy without a record is not wanted";
  fs::remove(lasting_copy(host_, "only"));
  EXPECT_THROW(note_wanted(host_, "only", bytes("a copy"), {}), Error);
}

TEST_F(BootStateTest, WhatIsMissingAndWhy) {
  const std::string other = "/var/lib/ksplice/updates/";
  want("good");
  want("altered");
  write_file(lasting_copy(host_, "altered"), bytes("damaged"));
  want("swapped");
  write_file(lasting_copy(host_, "swapped"), read_file(lasting_copy(host_, "good")));
  want("record");
  put(other + "record/wanted.json", "{}");
  want("bad");
  crash({"bad"}, Phase::Applying);
  start("second");
  auto missing = [&] {
    std::string text;
    for (const BootResult& result : missing_updates(host_))
      text += result.id + " " + result.result + " " + result.code + "\n";
    return text;
  };
  EXPECT_EQ(missing(),
            "bad quarantined quarantined\ngood other_kernel wrong_kernel\n"
            "altered failed bad_tarball\nswapped failed bad_tarball\nrecord failed bad_state\n");
  put_kernel("0123456789abcdef0123456789abcdef01234567");
  EXPECT_NE(missing().find("good not_applied"), std::string::npos) << missing();
  put("/sys/kernel/ksplice/good/stage", "applied\n");
  EXPECT_EQ(missing().find("good"), std::string::npos) << missing();
}

TEST_F(BootStateTest, Switches) {
  EXPECT_EQ(switched_off(host_), "");
  put("/proc/cmdline", "root=/dev/vda1 ksplice=offline\n");
  EXPECT_EQ(switched_off(host_), "");
  put("/proc/cmdline", "root=/dev/vda1 ksplice=off quiet\n");
  EXPECT_NE(switched_off(host_).find("command line"), std::string::npos);
  put("/proc/cmdline", "quiet\n");
  put("/etc/ksplice/off", "");
  EXPECT_NE(switched_off(host_).find("/etc/ksplice/off"), std::string::npos);
}

}  // namespace
}  // namespace ksplice
