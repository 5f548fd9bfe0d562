// What the tools make of the core's files, of the stored copies, and of a package on a host.
#include "apply/kernel_updates.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "apply/abort_codes.h"
#include "apply/load.h"
#include "apply/store.h"
#include "objdiff/base/error.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

class UpdatesTest : public testing::Test {
 protected:
  void put(const std::string& path, std::string_view content) {
    std::filesystem::path file = host_.path(path);
    std::filesystem::create_directories(file.parent_path());
    write_file(file, content);
  }
  void put_build_id(const std::string& path, char byte) {
    std::string note("\4\0\0\0\1\0\0\0\3\0\0\0GNU\0", 16);
    put(path, note + byte);
  }
  void put_update(const std::string& id, const std::string& stage) {
    std::string folder = "/sys/kernel/ksplice/" + id;
    put(folder + "/stage", stage + "\n");
    put(folder + "/description", "words of " + id + "\n");
  }

  TempDir dir_;
  Host host_{dir_.path()};
};

TEST_F(UpdatesTest, NoCoreNoUpdates) {
  EXPECT_EQ(list_updates(host_), std::vector<std::string>{});
  EXPECT_FALSE(read_update(host_, "abc"));
  EXPECT_EQ(write_update(host_, "abc", "stage", "applied"), ENOENT);
}

TEST_F(UpdatesTest, ListsOnlyUpdates) {
  put_update("later", "applied");
  put_update("abc", "preparing");
  put("/sys/kernel/ksplice/empty/other", "x");
  put("/sys/kernel/ksplice/Not-an-id/stage", "applied\n");
  EXPECT_EQ(list_updates(host_), (std::vector<std::string>{"abc", "later"}));
}

TEST_F(UpdatesTest, ReadsAllOfAnUpdate) {
  put_update("abc", "applied");
  put("/sys/kernel/ksplice/abc/abort_cause", "ok\n");
  put("/sys/kernel/ksplice/abc/abort_message", "\n");
  put("/sys/kernel/ksplice/abc/conflicts", "");
  put("/sys/kernel/ksplice/abc/pause_ns", "12345\n");
  put("/sys/kernel/ksplice/abc/targets",
      "vmlinux ksplice_abc_vmlinux applied\n"
      "tcp_mod ksplice_abc_tcp_mod pending\n");
  put("/sys/kernel/ksplice/abc/functions",
      "tcp_v4_rcv 0xffffffff9a001000 0xffffffffc0001000 17 vmlinux handler a static call is there\n"
      "mod_fn 0xffffffffc0301000 0xffffffffc0002000 - tcp_mod jump\n");
  std::optional<UpdateState> state = read_update(host_, "abc");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->stage, "applied");
  EXPECT_EQ(state->description, "words of abc");
  EXPECT_EQ(state->abort_cause, "ok");
  EXPECT_EQ(state->message, "");
  EXPECT_EQ(state->values, (std::map<std::string, std::string>{{"pause_ns", "12345"}}));
  ASSERT_EQ(state->targets.size(), 2u);
  EXPECT_EQ(state->targets[1].module, "ksplice_abc_tcp_mod");
  EXPECT_EQ(state->targets[1].state, "pending");
  ASSERT_EQ(state->functions.size(), 2u);
  EXPECT_EQ(state->functions[0].name, "tcp_v4_rcv");
  EXPECT_EQ(state->functions[0].old_addr, "0xffffffff9a001000");
  EXPECT_EQ(state->functions[0].new_addr, "0xffffffffc0001000");
  EXPECT_EQ(state->functions[0].calls, "17");
  EXPECT_EQ(state->functions[0].target, "vmlinux");
  EXPECT_EQ(state->functions[0].redirect, "handler");
  EXPECT_EQ(state->functions[0].why, "a static call is there");
  EXPECT_EQ(state->functions[1].calls, "-");
  EXPECT_EQ(state->functions[1].redirect, "jump");
  EXPECT_EQ(state->functions[1].why, "");
}

TEST_F(UpdatesTest, IdIsNeverAPath) {
  put("/sys/kernel/stage", "applied\n");
  EXPECT_FALSE(read_update(host_, ".."));
  EXPECT_FALSE(read_update(host_, ""));
}

TEST_F(UpdatesTest, WritesAFile) {
  put_update("abc", "preparing");
  EXPECT_EQ(write_update(host_, "abc", "stage", "applied"), 0);
  EXPECT_EQ(read_text(host_.path("/sys/kernel/ksplice/abc/stage")).substr(0, 7), "applied");
}

TEST_F(UpdatesTest, KnowsWhatIsKept) {
  put_update("abc", "reversed");
  put("/sys/kernel/ksplice/abc/kept",
      "tick is stored (in arm+0x12)\nlist is returned (in get+0x4)\n");
  put("/sys/kernel/ksplice/abc/targets", "vmlinux ksplice_abc_vmlinux kept\n");
  EXPECT_TRUE(read_update(host_, "abc")->is_kept());
  EXPECT_EQ(
      read_update(host_, "abc")->kept_lines(),
      (std::vector<std::string>{"tick is stored (in arm+0x12)", "list is returned (in get+0x4)"}));
  put("/sys/kernel/ksplice/abc/targets", "vmlinux ksplice_abc_vmlinux pending\n");
  EXPECT_FALSE(read_update(host_, "abc")->is_kept());
  put("/sys/kernel/ksplice/abc/targets", "vmlinux ksplice_abc_vmlinux kept\n");
  put("/sys/kernel/ksplice/abc/stage", "applied\n");
  EXPECT_FALSE(read_update(host_, "abc")->is_kept());
}

// --- stored copies

TEST_F(UpdatesTest, StoresFindsAndRemovesACopy) {
  std::string why;
  std::optional<std::string> path = store_copy(host_, "abc", {1, 2, 3}, why);
  ASSERT_TRUE(path);
  EXPECT_EQ(*path, host_.path("/var/lib/ksplice/updates/abc/ksplice-abc.tar.gz").string());
  EXPECT_EQ(find_copy(host_, "abc"), *path);
  EXPECT_EQ(read_file(*path), (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ(find_copy(host_, "abd"), "");
  EXPECT_TRUE(remove_copy(host_, "abc"));
  EXPECT_EQ(find_copy(host_, "abc"), "");
  EXPECT_FALSE(remove_copy(host_, "abc"));
  EXPECT_FALSE(std::filesystem::exists(host_.path("/var/lib/ksplice")));
}

TEST_F(UpdatesTest, InterruptedWriteIsNoCopyAndIsCleanedUp) {
  put("/var/lib/ksplice/updates/abc/ksplice-abc.tar.gz.Xy12ab", "half");
  EXPECT_EQ(find_copy(host_, "abc"), "");
  std::string why;
  store_copy(host_, "abc", {1}, why);
  EXPECT_FALSE(std::filesystem::exists(
      host_.path("/var/lib/ksplice/updates/abc/ksplice-abc.tar.gz.Xy12ab")));
}

TEST_F(UpdatesTest, FallsBackToRun) {
  put("/var/lib/ksplice", "a file where the folder should be");
  std::string why;
  std::optional<std::string> path = store_copy(host_, "abc", {1}, why);
  ASSERT_TRUE(path);
  EXPECT_EQ(*path, host_.path("/run/ksplice/updates/abc/ksplice-abc.tar.gz").string());
  EXPECT_NE(why.find("/var/lib/ksplice/updates/abc: "), std::string::npos) << why;
  EXPECT_TRUE(remove_copy(host_, "abc"));
  put("/run/ksplice", "another");
  EXPECT_FALSE(store_copy(host_, "abc", {1}, why));
}

// --- plans

Package package_for(const std::vector<std::string>& targets) {
  Package package;
  package.id = "abc";
  PackageKernel kernel;
  kernel.release = "6.1.0-50-cloud-amd64";
  kernel.build_id = "aa";
  for (const std::string& name : targets) {
    PackageTarget target;
    target.name = name;
    target.module = "ksplice_abc_" + name;
    target.build_id = name == "vmlinux" ? "aa" : "bb";
    kernel.targets.push_back(target);
  }
  package.kernels = {kernel};
  return package;
}

class PlanTest : public UpdatesTest {
 protected:
  void SetUp() override {
    put("/proc/sys/kernel/osrelease", "6.1.0-50-cloud-amd64\n");
    put_build_id("/sys/kernel/notes", '\xaa');
  }
  void put_module(const std::string& name, char build_id) {
    put("/sys/module/" + name + "/initstate", "live\n");
    put_build_id("/sys/module/" + name + "/notes/.note.gnu.build-id", build_id);
  }
  Refusal refusal(const Package& package, bool partial) {
    try {
      make_plan(host_, package, partial);
    } catch (const Refused& refused) {
      return refused.refusals.at(0);
    }
    return {};
  }
};

TEST_F(PlanTest, AllTargetsThere) {
  put_module("tcp_mod", '\xbb');
  Package package = package_for({"vmlinux", "tcp_mod"});
  Plan plan = make_plan(host_, package, false);
  EXPECT_EQ(plan.kernel, &package.kernels[0]);
  ASSERT_EQ(plan.targets.size(), 2u);
  EXPECT_EQ(plan.targets[1]->name, "tcp_mod");
  EXPECT_TRUE(plan.skipped.empty());
}

TEST_F(PlanTest, WrongKernelShowsBothBuildIds) {
  put_build_id("/sys/kernel/notes", '\xcc');
  Refusal refusal = this->refusal(package_for({"vmlinux"}), true);
  EXPECT_EQ(refusal.code, "wrong_kernel");
  EXPECT_EQ(refusal.expected, "6.1.0-50-cloud-amd64, build id aa");
  EXPECT_EQ(refusal.found, "6.1.0-50-cloud-amd64, build id cc");
}

TEST_F(PlanTest, CoreOfAnotherBuildIsRefusedWhereItIsUsed) {
  test::Workshop shop;
  shop.run({"ld", "-r", "--build-id=0xbb", "-o", shop.file("ksplice.ko"),
            shop.compile("core.c", "int core;")});
  Package package = package_for({"vmlinux"});
  PackageKernel& kernel = package.kernels[0];
  kernel.core_file = "objects/ksplice.ko";
  package.files[kernel.core_file] = read_file(shop.file("ksplice.ko"));
  EXPECT_EQ(judge_core(host_, package, kernel), CoreState::Absent);
  put_module("ksplice", '\xbb');
  put("/sys/module/ksplice/holders/ksplice_other_vmlinux", "");
  EXPECT_EQ(judge_core(host_, package, kernel), CoreState::Same);
  put_module("ksplice", '\xcc');
  try {
    judge_core(host_, package, kernel);
    FAIL() << "taken";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.refusals.at(0).code, "wrong_core");
    EXPECT_EQ(refused.refusals[0].expected, "build id bb");
    EXPECT_EQ(refused.refusals[0].found, "build id cc");
  }
  std::filesystem::remove(host_.path("/sys/module/ksplice/holders/ksplice_other_vmlinux"));
  EXPECT_EQ(judge_core(host_, package, kernel), CoreState::Idle);
}

TEST_F(PlanTest, TargetNotLoaded) {
  Package package = package_for({"vmlinux", "tcp_mod", "other_mod"});
  Refusal refusal = this->refusal(package, false);
  EXPECT_EQ(refusal.code, "target_not_loaded");
  EXPECT_EQ(refusal.message, "a module that the update patches is not loaded: tcp_mod, other_mod");
  EXPECT_NE(refusal.advice.find("--partial"), std::string::npos);
  Plan plan = make_plan(host_, package, true);
  ASSERT_EQ(plan.targets.size(), 1u);
  EXPECT_EQ(plan.skipped, (std::vector<std::string>{"tcp_mod", "other_mod"}));
}

TEST_F(PlanTest, NothingLeftToPatch) {
  EXPECT_EQ(refusal(package_for({"tcp_mod"}), true).code, "target_not_loaded");
}

TEST_F(PlanTest, WrongModule) {
  put_module("tcp_mod", '\xcc');
  Refusal refusal = this->refusal(package_for({"vmlinux", "tcp_mod"}), false);
  EXPECT_EQ(refusal.code, "wrong_module");
  EXPECT_EQ(refusal.expected, "build id bb");
  EXPECT_EQ(refusal.found, "build id cc");
}

TEST_F(PlanTest, StandsOnAnUpdateThatMustBeApplied) {
  Package package = package_for({"vmlinux"});
  package.kernels[0].targets[0].stands_on = {{"low", "ksplice_low_vmlinux", "bb"}};
  EXPECT_EQ(refusal(package, false).code, "needs_update");
  put_update("low", "preparing");
  put("/sys/kernel/ksplice/low/targets", "vmlinux ksplice_low_vmlinux pending\n");
  put_module("ksplice_low_vmlinux", '\xbb');
  EXPECT_EQ(refusal(package, false).found, "the update, in stage preparing");
  // Applied, but not to this target.
  put_update("low", "applied");
  EXPECT_EQ(refusal(package, false).code, "needs_update");
  put("/sys/kernel/ksplice/low/targets", "vmlinux ksplice_low_vmlinux applied\n");
  EXPECT_EQ(make_plan(host_, package, false).targets.size(), 1u);
  put_module("ksplice_low_vmlinux", '\xcc');
  Refusal other = refusal(package, false);
  EXPECT_EQ(other.code, "wrong_update");
  EXPECT_EQ(other.found, "build id cc");
}

TEST_F(PlanTest, LateTargets) {
  Package package = package_for({"vmlinux", "tcp_mod", "other_mod"});
  EXPECT_EQ(late_targets(host_, package), std::vector<std::string>{});
  put_module("tcp_mod", '\xbb');
  put_module("other_mod", '\xbb');
  put_module("ksplice_abc_other_mod", 0);
  put_update("abc", "applied");
  put("/sys/kernel/ksplice/abc/targets", "other_mod ksplice_abc_other_mod applied\n");
  EXPECT_EQ(late_targets(host_, package), std::vector<std::string>{"tcp_mod"});
  // One that is being loaded is about to be patched.
  put("/sys/module/tcp_mod/initstate", "coming\n");
  EXPECT_EQ(late_targets(host_, package), std::vector<std::string>{});
  // What is loaded for a target is not yet applied to it.
  put("/sys/kernel/ksplice/abc/targets", "other_mod ksplice_abc_other_mod pending\n");
  EXPECT_EQ(late_targets(host_, package), std::vector<std::string>{"other_mod"});
}

TEST_F(PlanTest, ModuleThatIsBeingLoadedIsPatchedAlone) {
  Package package = package_for({"vmlinux", "tcp_mod", "other_mod", "third_mod"});
  put_module("tcp_mod", '\xbb');
  put_module("other_mod", '\xbb');
  put_module("third_mod", '\xbb');
  put_module("ksplice_abc_third_mod", 0);
  put("/sys/module/tcp_mod/initstate", "coming\n");
  Plan plan = make_plan(host_, package, true);
  EXPECT_EQ(plan.skipped, std::vector<std::string>{"tcp_mod"});
  EXPECT_EQ(refusal(package, false).code, "target_not_loaded");
  // Asked for, it comes with what is patched already.
  plan = make_plan(host_, package, true, "tcp_mod");
  EXPECT_EQ(plan.skipped, std::vector<std::string>{"other_mod"});
  ASSERT_EQ(plan.targets.size(), 3u);
  EXPECT_EQ(plan.targets[1]->name, "tcp_mod");
  EXPECT_EQ(plan.targets[2]->name, "third_mod");
}

TEST_F(PlanTest, TargetsWithThePatchInThem) {
  Package package = package_for({"vmlinux", "tcp_mod", "other_mod"});
  package.kernels[0].targets[1].cold_file = "cold/tcp_mod.ko";
  package.kernels[0].targets[1].cold_build_id = "cc";
  put_module("tcp_mod", '\xbb');
  put_module("other_mod", '\xbb');
  EXPECT_EQ(patched_targets(host_, package), std::vector<std::string>{});
  put_module("tcp_mod", '\xcc');
  EXPECT_EQ(patched_targets(host_, package), std::vector<std::string>{"tcp_mod"});
}

TEST_F(UpdatesTest, NamesLivepatches) {
  put("/sys/kernel/livepatch/fix_one/vmlinux/tcp_rcv,1/patched", "1\n");
  put("/sys/kernel/livepatch/fix_two/vmlinux/tcp_rcv_established,1/patched", "1\n");
  EXPECT_EQ(name_livepatches(host_,
                             "function tcp_rcv is redirected by livepatch\n"
                             "function tcp_rcv_established is redirected by livepatch\n"
                             "function udp_rcv is redirected by livepatch\n"
                             "function tcp_rcv is redirected by my_handler"),
            "function tcp_rcv is redirected by livepatch fix_one\n"
            "function tcp_rcv_established is redirected by livepatch fix_two\n"
            "function udp_rcv is redirected by livepatch\n"
            "function tcp_rcv is redirected by my_handler");
  EXPECT_EQ(name_livepatches(host_, ""), "");
}

TEST(AbortCodes, EachHasWordsAndAdvice) {
  for (const char* code :
       {"ok", "no_match", "code_busy", "module_busy", "out_of_memory", "no_ftrace_site",
        "already_reversed", "unexpected_running_task", "unexpected", "target_not_loaded",
        "call_failed", "conflict", "ftrace_off", "interrupted"})
    for (Action action : {Action::Apply, Action::Undo}) {
      AbortCode abort = explain_abort(code, action);
      EXPECT_FALSE(abort.advice.empty()) << code;
      EXPECT_EQ(abort.message.find("does not know"), std::string::npos) << code;
    }
  EXPECT_FALSE(explain_abort("cold_update_loaded", Action::Undo).advice.empty());
  EXPECT_NE(explain_abort("brand_new", Action::Apply).message.find("brand_new"), std::string::npos);
}

}  // namespace
}  // namespace ksplice
