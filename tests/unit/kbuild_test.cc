// What is kept of kbuild's preparation, where the source is a Makefile that plays kbuild.
#include "create/kbuild.h"
#include "create/kconfig.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

// Like CONFIG_OPENSSL_SUPPORTS_ML_DSA, which depends on what the program openssl says.
TEST(Prepare, IsDoneAgainWhereAToolWasMissing) {
  TempDir source, cache, tool, headers;
  for (const char* file : {"Kbuild", "kernel/fork.c", "scripts/Makefile.build"}) {
    fs::create_directories((source.path() / file).parent_path());
    write_file(source.path() / file, "");
  }
  const fs::path program = tool.path() / "program";
  write_file(source.path() / "Makefile",
             "olddefconfig:\n\t[ -e " + program.string() +
                 " ] || sed -i /MODULE_SIG_PQ/d $(O)/.config\nmodules_prepare:\n");
  write_file(headers.path() / "Module.symvers", "");
  KernelConfig kernel;
  kernel.build = headers.path();
  kernel.config_text = "CONFIG_MODULES=y\nCONFIG_MODULE_SIG_PQ=y\n";
  Overlay overlay(cache.path(), source.path(), "k");
  Kbuild kbuild = make_kbuild(overlay, kernel, {}, 1);

  EXPECT_TRUE(prepare(overlay, kbuild, kernel, {}));
  EXPECT_EQ(read_text(overlay.obj() / ".config"), "CONFIG_MODULES=y\n");
  const std::string without = build_key(overlay, kernel, {});
  write_file(program, "");
  EXPECT_TRUE(prepare(overlay, kbuild, kernel, {}));
  EXPECT_EQ(read_text(overlay.obj() / ".config"), kernel.config_text);
  const std::string with = build_key(overlay, kernel, {});
  EXPECT_NE(with, without);  // objects of the two are not taken for each other
  EXPECT_FALSE(prepare(overlay, kbuild, kernel, {}));
  EXPECT_EQ(build_key(overlay, kernel, {}), with);
}

// KCONFIG_CONFIG would be another configuration, and olddefconfig would write to it.
TEST(RunMake, GetsNoSettingsFromTheEnvironment) {
  TempDir source, cache;
  for (const char* file : {"Kbuild", "kernel/fork.c", "scripts/Makefile.build"}) {
    fs::create_directories((source.path() / file).parent_path());
    write_file(source.path() / file, "");
  }
  write_file(source.path() / "Makefile", "show:\n\t@env >$(O)/env\n");
  Overlay overlay(cache.path(), source.path(), "k");
  fs::create_directories(overlay.obj());
  const std::vector<std::string> settings = {"KCONFIG_CONFIG", "KBUILD_CFLAGS", "LLVM", "CPATH",
                                             "MAKEFILES"};
  for (const std::string& name : settings) ::setenv(name.c_str(), "/nowhere", 1);
  ::setenv("CCACHE_DIR", "/some/cache", 1);
  const MakeResult run = run_make(make_kbuild(overlay, {}, {}, 1), {"show"});
  for (const std::string& name : settings) ::unsetenv(name.c_str());
  ASSERT_EQ(run.status, 0) << run.output;
  const std::string text = read_text(overlay.obj() / "env");
  EXPECT_EQ(text.find("/nowhere"), text.npos) << text;
  EXPECT_NE(text.find("CCACHE_DIR=/some/cache\n"), text.npos);
  EXPECT_NE(text.find("\nPATH="), text.npos);
}

TEST(ChangedOptions, AreThoseThatAreSetOtherwise) {
  const std::string before =
      "#\n# Comment\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=3\n";
  EXPECT_TRUE(changed_options(before, before + "# CONFIG_E is not set\n").empty());
  EXPECT_TRUE(changed_options(before, "CONFIG_D=3\nCONFIG_B=m\nCONFIG_A=y\n").empty());
  EXPECT_EQ(changed_options(before, "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\nCONFIG_D=4\n"),
            (std::vector<std::string>{"CONFIG_C=y", "CONFIG_D=4", "CONFIG_B"}));
}

}  // namespace
}  // namespace ksplice
