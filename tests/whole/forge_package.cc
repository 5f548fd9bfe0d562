// Changes a tarball at random and offers it to what ksplice-apply does before it loads anything:
// reading, the plan for this host, and finalization. Each change must be refused with an Error, or
// be harmless.
//
//   forge_package --kallsyms FILE [--times 5000] [--seed 1] [--keep DIR --kept 100] TARBALL
//
// A third of the changes are to the bytes of the tarball; the others are to the files in it, which
// is then packed again with right checksums: a byte of the description of the addresses
// (.final.json), or of a section of an update module that the core reads (.ksplice.*). Those of the
// last kind that are not refused are kept in DIR, for a guest: there the kernel's own part has to
// refuse them or live with them.
#include <elf.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <random>

#include "apply/load.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/tool.h"

namespace ksplice {
namespace {

struct Options {
  std::string tarball, kallsyms, keep;
  unsigned times = 5000, seed = 1, kept = 100;
  bool json = false, raw_errors = false;
};

// A root with what Host reads of a kernel that runs the first kernel of the package.
void make_root(const std::filesystem::path& root, const PackageKernel& kernel,
               const std::string& kallsyms) {
  for (const char* folder : {"proc/sys/kernel", "sys/kernel"})
    std::filesystem::create_directories(root / folder);
  Elf64_Nhdr note = {4, static_cast<Elf64_Word>(kernel.build_id.size() / 2), NT_GNU_BUILD_ID};
  std::string notes(reinterpret_cast<const char*>(&note), sizeof note);
  notes += std::string("GNU\0", 4);
  for (size_t at = 0; at + 2 <= kernel.build_id.size(); at += 2)
    notes += static_cast<char>(std::stoi(kernel.build_id.substr(at, 2), nullptr, 16));
  write_file(root / "sys/kernel/notes", notes);
  write_file(root / "proc/sys/kernel/osrelease", kernel.release);
  write_file(root / "proc/kallsyms", read_text(kallsyms));
}

class Forge {
 public:
  Forge(const Options& options, const std::filesystem::path& root)
      : options_(options),
        host_(root),
        raw_(read_file(options.tarball)),
        package_(read_package(options.tarball)),
        random_(options.seed) {}

  int run(const std::filesystem::path& folder) {
    for (unsigned i = 0; i < options_.times; ++i) {
      bool is_table = false;
      std::string path = i % 3 == 0 ? change_bytes(folder) : change_file(folder, is_table);
      bool harmless = offer(path);
      if (harmless && is_table && kept_ < options_.kept && !options_.keep.empty())
        std::filesystem::copy_file(path, fmt::format("{}/{}.tar.gz", options_.keep, kept_++));
    }
    fmt::print("refused {} harmless {} kept {}\n", refused_, harmless_, kept_);
    for (const auto& [code, count] : codes_) fmt::print("  {} {}\n", code, count);
    return ExitDone;
  }

 private:
  size_t below(size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random_);
  }

  void change(std::vector<uint8_t>& bytes, size_t begin, size_t size) {
    for (size_t n = 1 + below(3); n > 0; --n)
      bytes[begin + below(size)] ^=
          static_cast<uint8_t>(below(2) != 0 ? 1 << below(8) : 1 + below(255));
  }

  std::string change_bytes(const std::filesystem::path& folder) {
    std::vector<uint8_t> bytes = raw_;
    if (below(8) == 0) bytes.resize(below(bytes.size()));
    if (!bytes.empty()) change(bytes, 0, bytes.size());
    std::string path = folder / "bytes.tar.gz";
    write_file(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return path;
  }

  std::string change_file(const std::filesystem::path& folder, bool& is_table) {
    Package forged = package_;
    const PackageTarget& target = forged.kernels[0].targets[0];
    is_table = below(3) != 0;
    std::vector<uint8_t>& bytes = forged.files.at(is_table ? target.file : target.final);
    if (is_table) {
      auto [begin, size] = pick_table(bytes);
      change(bytes, begin, size);
    } else {
      change(bytes, 0, bytes.size());
    }
    return write_package(forged, folder);
  }

  // Offset and size of one of the sections that the core reads.
  std::pair<size_t, size_t> pick_table(const std::vector<uint8_t>& ko) {
    if (tables_.empty()) {
      Bytes file(ko, "update module");
      Elf64_Ehdr header = file.read<Elf64_Ehdr>(0);
      auto section = [&](size_t index) {
        return file.read<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr));
      };
      uint64_t names = section(header.e_shstrndx).sh_offset;
      for (size_t index = 1; index < header.e_shnum; ++index)
        if (file.c_string(names + section(index).sh_name).substr(0, 9) == ".ksplice." &&
            section(index).sh_size != 0)
          tables_.push_back({section(index).sh_offset, section(index).sh_size});
    }
    return tables_.at(below(tables_.size()));
  }

  bool offer(const std::string& path) {
    try {
      Package package = read_package(path);
      Plan plan = make_plan(host_, package, false);
      finalize_core(host_, package, *plan.kernel);
      for (const PackageTarget* target : plan.targets)
        finalize_target(host_, package, *target, plan.targets.size());
    } catch (const Refused& refused) {
      ++codes_[refused.refusals.at(0).code];
      ++refused_;
      return false;
    } catch (const Error& error) {
      ++codes_[error.code];
      ++refused_;
      return false;
    }
    ++harmless_;
    return true;
  }

  const Options& options_;
  Host host_;
  std::vector<uint8_t> raw_;
  Package package_;
  std::mt19937_64 random_;
  std::vector<std::pair<size_t, size_t>> tables_;
  std::map<std::string, unsigned> codes_;
  unsigned refused_ = 0, harmless_ = 0, kept_ = 0;
};

int forge(const Options& options) {
  TempDir root, folder;
  make_root(root.path(), read_package(options.tarball).kernels.at(0), options.kallsyms);
  return Forge(options, root.path()).run(folder.path());
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app("Offers changed tarballs to what ksplice-apply does before it loads anything.",
               "forge_package");
  app.add_option("--kallsyms", options.kallsyms, "of the kernel that the tarball is for")
      ->required();
  app.add_option("--times", options.times, "how many");
  app.add_option("--seed", options.seed, "of the random numbers");
  app.add_option("--keep", options.keep,
                 "folder for those with changed tables that were not refused");
  app.add_option("--kept", options.kept, "how many of them at most");
  app.add_option("TARBALL", options.tarball, "made by ksplice-create, for vmlinux")->required();
  CLI11_PARSE(app, argc, argv);
  return ksplice::run_tool(
      "forge_package", [&] { return ksplice::forge(options); }, &options.json, &options.raw_errors);
}
