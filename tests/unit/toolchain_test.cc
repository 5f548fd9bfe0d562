// What built the kernel, held against what is here.
#include "create/toolchain.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

TEST(CompilerPackage, OfDebiansVersionTexts) {
  EXPECT_EQ(compiler_package("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"), "gcc-12");
  EXPECT_EQ(compiler_package("x86_64-linux-gnu-gcc-12 (Debian 12.2.0-14) 12.2.0"), "gcc-12");
  EXPECT_EQ(compiler_package("gcc (Debian 10.2.1-6) 10.2.1 20210110"), "gcc-10");
  EXPECT_EQ(compiler_package("Debian clang version 14.0.6"), "clang-14");
}

TEST(Banner, NamesAnotherCompilerThanTheConfiguration) {
  std::string config = "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n";
  std::string start = "Linux version 6.1.0 (debian-kernel@lists.debian.org) (";
  EXPECT_EQ(other_compiler_of_banner(
                start + "gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP", config),
            "");
  EXPECT_EQ(other_compiler_of_banner(start + "gcc-10 (Debian 10.2.1-6) 10.2.1, GNU ld 2.35) #1 SMP",
                                     config),
            "gcc-10 (Debian 10.2.1-6) 10.2.1");
  EXPECT_EQ(other_compiler_of_banner("", config), "");
  EXPECT_EQ(other_compiler_of_banner(start + "x, y)", ""), "");
}

TEST(Banner, NamesAnotherVersionThanTheSource) {
  TempDir tree;
  auto other = [&](const std::string& banner, const std::string& makefile) {
    write_file(tree.path() / "Makefile", "# SPDX\n" + makefile + "EXTRAVERSION =\n");
    return other_version(banner, tree.path());
  };
  const std::string source = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\n";
  const std::string start = "Linux version 6.1.0-57-cloud-amd64 (a@b) (gcc-12, GNU ld) #1 SMP ";
  EXPECT_EQ(other(start + "Debian 6.1.192-3 (2026-11-20)", source), "");
  EXPECT_EQ(other(start + "Debian 6.1.190-1 (2026-10-20)", source), "6.1.190");
  EXPECT_EQ(other(start + "Debian 6.1.19-1 (2023-03-01)", source), "6.1.19");
  EXPECT_EQ(other(start + "Debian 6.12.192-1~deb12u1 (2026-11-20)", source), "6.12.192");
  EXPECT_EQ(
      other(start + "Debian 6.1-1 (2022-12-20)", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n"),
      "");
  // Not Debian's: the release, whose last part others keep at 0.
  EXPECT_EQ(other("Linux version 6.1.192 (a@b) (gcc) #2 SMP today", source), "");
  EXPECT_EQ(other("Linux version 6.1.191-mine (a@b) (gcc) #2 SMP today", source), "6.1.191");
  EXPECT_EQ(other("Linux version 6.1.0-9-generic (a@b) (gcc) #9-Ubuntu SMP", source), "");
  EXPECT_EQ(other("Linux version 6.8.0-9-generic (a@b) (gcc) #9-Ubuntu SMP", source), "6.8.0");
}

TEST(CompareTools, HoldsTheConfigurationAgainstTheHeaders) {
  TempDir headers;
  KernelConfig kernel;
  kernel.build = headers.path();
  kernel.config_text = "CONFIG_HZ=1000\nCONFIG_PREEMPT=y\nCONFIG_CC_VERSION_TEXT=\"\"\n";
  EXPECT_TRUE(compare_tools(kernel, {}).empty());  // headers without one
  write_file(headers.path() / ".config", "CONFIG_HZ=250\nCONFIG_NUMA=y\nCONFIG_BUILD_SALT=\"x\"\n");
  std::vector<ToolDifference> differences = compare_tools(kernel, {});
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].wanted.rfind("HZ=250, NUMA=y, PREEMPT off, in ", 0), 0u)
      << differences[0].wanted;
  EXPECT_EQ(differences[0].found.rfind("HZ=1000, NUMA off, PREEMPT=y, in ", 0), 0u)
      << differences[0].found;
}

TEST(LostOptions, AreThoseThatChangeTheKernel) {
  std::string wanted =
      "CONFIG_A=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\nCONFIG_CC_HAS_X=y\nCONFIG_M=m\n"
      "CONFIG_NAME=\"x\"\n# CONFIG_N is not set\nCONFIG_KEPT=m\n";
  std::string made = "CONFIG_KEPT=y\n# CONFIG_A is not set\n";
  EXPECT_EQ(lost_options(wanted, made),
            (std::vector<std::string>{"A", "DEBUG_INFO_BTF_MODULES", "M"}));
  EXPECT_TRUE(lost_options(wanted, wanted).empty());
}

TEST(LostOptions, AreNotThoseOfDriversInRust) {
  const std::string wanted =
      "CONFIG_AMCC_QT2025_PHY=m\nCONFIG_DRM_PANIC_SCREEN_QR_CODE=y\nCONFIG_HAVE_RUST=y\n"
      "CONFIG_HID_THRUSTMASTER=m\nCONFIG_RUST=y\nCONFIG_RUST_PHYLIB_ABSTRACTIONS=y\n"
      "CONFIG_SECONDARY_TRUSTED_KEYRING=y\n";
  EXPECT_EQ(lost_options(wanted, ""),
            (std::vector<std::string>{"HID_THRUSTMASTER", "SECONDARY_TRUSTED_KEYRING"}));
  EXPECT_EQ(lost_options(wanted, "CONFIG_RUST=y\nCONFIG_HID_THRUSTMASTER=m\n"),
            (std::vector<std::string>{"AMCC_QT2025_PHY", "DRM_PANIC_SCREEN_QR_CODE",
                                      "SECONDARY_TRUSTED_KEYRING"}));
}

TEST(UnknownOptions, AreInNoKconfigFile) {
  TempDir tree;
  std::filesystem::create_directories(tree.path() / "lib");
  write_file(tree.path() / "Kconfig", "menuconfig A\n\tbool \"a\"\n\tdepends on NOWHERE\n");
  write_file(tree.path() / "lib/Kconfig.debug", "config B\n");
  write_file(tree.path() / "lib/notes", "config NOWHERE\n");
  std::filesystem::create_directory_symlink(".", tree.path() / "lib/source");  // as in obj
  EXPECT_EQ(options_unknown_to(tree.path(), {"NOWHERE", "A", "B"}),
            (std::vector<std::string>{"NOWHERE"}));
}

TEST(CompareTools, NamesEachWithItsPackage) {
  KernelConfig kernel;
  kernel.config_text =
      "CONFIG_AS_IS_GNU=y\nCONFIG_AS_VERSION=10000\nCONFIG_LD_IS_BFD=y\nCONFIG_LD_VERSION=10000\n"
      "CONFIG_GCC_PLUGIN_STACKLEAK=y\nCONFIG_DEBUG_INFO_BTF=y\n";
  Toolchain toolchain;
  toolchain.cc = "echo";  // has no folder of plugins
  toolchain.version = "gcc (Debian 12.2.0-14) 12.2.0";
  toolchain.wanted = "gcc-9 (Debian 9.3.0-22) 9.3.0";
  std::vector<ToolDifference> differences = compare_tools(kernel, toolchain);
  std::vector<std::string> packages;
  for (const ToolDifference& difference : differences) packages.push_back(difference.package);
  EXPECT_EQ(packages, (std::vector<std::string>{"gcc-9", "binutils", "binutils", "gcc-9-plugin-dev",
                                                "pahole"}));
  EXPECT_EQ(differences[1].wanted, "as 1.0");
  EXPECT_EQ(check_tools(kernel, differences, true).size(), 5u);
  try {
    check_tools(kernel, differences, false);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "wrong_toolchain");
    EXPECT_NE(error.hint.find("binutils, gcc-9, gcc-9-plugin-dev, pahole"), std::string::npos)
        << error.hint;
  }
  EXPECT_TRUE(check_tools({}, {}, false).empty());
}

TEST(FindToolchain, WordsOfTheFlagsFile) {
  KernelConfig kernel;
  // A kernel of the release on which this runs: one of another release is to be given a root.
  const bool is_13 = std::filesystem::exists("/usr/bin/gcc-14");
  const std::string gcc = is_13 ? "gcc-14" : "gcc-12";
  kernel.config_text = "CONFIG_CC_VERSION_TEXT=\"" + gcc +
                       (is_13 ? " (Debian 14.2.0-19) 14.2.0" : " (Debian 12.2.0-14) 12.2.0") +
                       "\"\n";
  auto code_with = [&](std::vector<std::string> flags) {
    kernel.flags = std::move(flags);
    try {
      return find_toolchain(kernel).cc;
    } catch (const Error& error) {
      return error.code + ": " + error.hint;
    }
  };
  EXPECT_EQ(code_with({"CC=env " + gcc}), "env " + gcc);
  EXPECT_EQ(code_with({"CC=ccache no-such-gcc-77"}),
            "no_compiler: install the package no-such-gcc-77");
  EXPECT_EQ(code_with({"LLVM=-77"}), "no_compiler: install the packages clang, lld and llvm");
  kernel.config_text = "CONFIG_CC_VERSION_TEXT=\"Debian clang version 14.0.6\"\n";
  EXPECT_EQ(code_with({}).rfind("bad_config: write LLVM=1", 0), 0u);
}

}  // namespace
}  // namespace ksplice
