// What can be said of an update before it is applied.
#include "apply/preflight.h"

#include "tests/unit/package_samples.h"

namespace ksplice {
namespace {

class PreflightTest : public PackageTest {
 protected:
  void put(const std::string& file, std::string_view content) {
    std::filesystem::create_directories(host_.path(file).parent_path());
    write_file(host_.path(file), content);
  }
  Host host_{dir_.path() / "host"};
};

TEST_F(PreflightTest, EachKindOfResult) {
  const CheckResult good = run_check("a", [] { return Finding{"fine"}; });
  EXPECT_EQ(good.verdict, "ok");
  const CheckResult warning = run_check("b", [] { return Finding{"careful", true}; });
  EXPECT_EQ(warning.verdict, "warning");
  const CheckResult failed =
      run_check("c", []() -> Finding { throw Error("no_space", "full", "make room"); });
  EXPECT_EQ(failed.verdict + " " + failed.code + " " + failed.hint, "failed no_space make room");
  const CheckResult refused = run_check("d", []() -> Finding {
    Refusal refusal;
    refusal.code = "expired";
    Refused refusals({refusal, refusal});
    refusals.raw = "task 1 f\n";
    throw refusals;
  });
  EXPECT_EQ(refused.verdict + " " + refused.code + " " + refused.raw, "refused expired task 1 f\n");
  EXPECT_EQ(refused.refusals.size(), 2u);
  EXPECT_EQ(status_of({}), ExitDone);
  EXPECT_EQ(status_of({good, warning}), ExitDone);
  EXPECT_EQ(status_of({good, failed, refused}), ExitFailed);
  EXPECT_EQ(status_of({warning, refused, failed}), ExitRefused);
  const nlohmann::json json = to_json({warning, refused});
  EXPECT_EQ(json[0],
            nlohmann::json({{"check", "b"}, {"verdict", "warning"}, {"message", "careful"}}));
  EXPECT_EQ(json[1]["code"], "expired");
  EXPECT_EQ(json[1]["refusals"].size(), 2u);
}

TEST_F(PreflightTest, Memory) {
  const Package package = example();
  const PackageKernel& kernel = package.kernels[0];
  EXPECT_TRUE(check_memory(host_, package, kernel).is_warning);
  put("/proc/meminfo", "MemTotal: 9 kB\nMemFree:   1 kB\nMemAvailable:    9 kB\nBuffers: 3 kB\n");
  const Finding scarce = check_memory(host_, package, kernel);
  EXPECT_TRUE(scarce.is_warning);
  put("/proc/meminfo", "MemTotal: 90 kB\nMemAvailable:   10 kB\n");
  const Finding enough = check_memory(host_, package, kernel);
  EXPECT_FALSE(enough.is_warning);
  EXPECT_EQ(enough.message, "up to 9 KiB are needed, 10 KiB are available");
}

TEST_F(PreflightTest, Company) {
  const PackageKernel kernel = example().kernels[0];  // replaces tcp_v4_rcv
  auto found = [&] {
    const Finding finding = check_company(host_, kernel);
    return finding.is_warning ? finding.message : "";
  };
  EXPECT_EQ(found(), "") << "nothing is mounted";
  put("/sys/kernel/debug/fail_function/inject", "should_failslab\t0xfffffff4\n");
  put("/sys/kernel/debug/kprobes/list",
      "ffffffff81000000  k  tcp_v4_rcv+0x0    [DISABLED][FTRACE]\n"
      "ffffffff81000100  k  tcp_v4_rcvx+0x0    [FTRACE]\n");
  put("/sys/kernel/tracing/enabled_functions",
      "tcp_v4_rcv (1) R I  \ttramp: 0xffffffffc0000000 (ksplice_handler+0x0/0x100) D\n"
      "tcp_v6_rcv (1)     D\tdirect-->bpf_trampoline+0x0/0x100\n");
  EXPECT_EQ(found(), "");
  put("/sys/kernel/debug/fail_function/inject", "tcp_v4_rcv\t0xfffffff4\n");
  EXPECT_EQ(found(), "fault injection can end calls of tcp_v4_rcv");
  put("/sys/kernel/debug/kprobes/list", "ffffffff81000000  r  tcp_v4_rcv+0x0    [FTRACE]\n");
  put("/sys/kernel/tracing/enabled_functions",
      "tcp_v4_rcv (2) R   D\ttramp: 0xffffffffc0000000 (x+0x0/0x1)\n\tdirect-->bpf+0x0/0x100\n");
  EXPECT_EQ(
      found(),
      "fault injection can end calls of tcp_v4_rcv; kprobes, of which one of BPF can end calls "
      "with bpf_override_return(), are at tcp_v4_rcv; BPF programs, of which fmod_ret can change "
      "what is returned, are at tcp_v4_rcv");
}

TEST_F(PreflightTest, Space) {
  std::filesystem::create_directories(host_.path("/"));
  EXPECT_FALSE(check_space(host_, 1000).is_warning);
  EXPECT_TRUE(check_space(host_, size_t{1} << 60).is_warning);
}

// What is wrong is all said, and nothing is loaded then.
TEST_F(PreflightTest, AllReasonsAtOnce) {
  put("/proc/sys/kernel/osrelease", "6.1.0-50-cloud-amd64\n");
  put("/sys/kernel/notes", std::string("\4\0\0\0\2\0\0\0\3\0\0\0GNU\0\xde\xad\0\0", 20));
  put("/proc/sys/kernel/modules_disabled", "1\n");
  put("/etc/ksplice/trust.pem", "damaged");
  bool is_tried = false;
  const std::vector<CheckResult> checks = run_preflight(
      host_, read_package(write_package(example(), dir_.path())), 1000, false, [&]() -> Finding {
        is_tried = true;
        return {};
      });
  std::string text;
  for (const CheckResult& check : checks)
    text += check.name + " " + check.verdict + " " + check.code + "\n";
  EXPECT_EQ(text, "permission failed " +
                      std::string(::geteuid() == 0 ? "signature_required" : "not_permitted") +
                      "\nsignature failed bad_trust\ntargets refused wrong_kernel\nspace ok \n"
                      "verification skipped \n");
  EXPECT_FALSE(is_tried);
  EXPECT_EQ(status_of(checks), ExitFailed);
}

}  // namespace
}  // namespace ksplice
