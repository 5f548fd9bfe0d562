// Changes a run image in one place at a time and asks whether matching still accepts it.
//
//   mutation --image VMLINUZ [--flips 10000] [--edits 2000] [--seed 1] PRE.o...
//
// Places are drawn from the code of all matched functions, and from the strings and constants that
// they refer to. Flips change one bit. Edits are what a person or another compiler would do:
// another register, another constant, another call or jump target, two instructions swapped,
// another string. A mutation is accepted if the function is still matched at the same address and
// without a contradiction; each is printed. Exit status 1 if there is any that is not excused by
// run_pre.cc's list.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <random>

#include "objdiff/base/tool.h"
#include "objdiff/elf_read.h"
#include "objdiff/run_image.h"
#include "objdiff/run_pre.h"
#include "objdiff/x86.h"

namespace ksplice {
namespace {

struct Place {  // of one matched function
  const Object* pre;
  const Symbol* symbol;
  RunCode run;
};

class Mutation {
 public:
  Mutation(RunImage& image, uint64_t seed) : image_(image), random_(seed) {}

  void add(const Object& pre) {
    MatchResult result = match_run_pre(pre, image_);
    for (FunctionMatch& match : result.functions)
      if (match.status == MatchStatus::Matched && !match.run.bytes.empty())
        places_.push_back({&pre, match.pre, match.run});
    for (const auto& [place, addr] : result.anonymous)
      if (place.first->is_strings()) strings_[&pre].push_back(addr);
  }

  void flips(unsigned count) {
    for (unsigned i = 0; i < count && !places_.empty(); i++) {
      const Place& place = pick(places_);
      uint64_t offset = random_() % place.run.bytes.size();
      std::vector<uint8_t> bytes = {place.run.bytes[offset]};
      bytes[0] ^= static_cast<uint8_t>(1u << random_() % 8);
      check(place, "flip", place.run.addr + offset, bytes);
    }
  }

  void edits(unsigned count) {
    for (unsigned i = 0; done_ < count && i < count * 20 && !places_.empty(); i++) {
      const Place& place = pick(places_);
      std::vector<Instruction> code = decode_range(place.run.bytes, 0, place.run.bytes.size());
      size_t at = random_() % code.size();
      switch (random_() % 5) {
        case 0:
          edit_register(place, code[at]);
          break;
        case 1:
          edit_constant(place, code[at]);
          break;
        case 2:
          edit_target(place, code[at]);
          break;
        case 3:
          if (at + 1 < code.size()) swap(place, code[at], code[at + 1]);
          break;
        case 4:
          edit_string(place);
          break;
      }
    }
  }

  unsigned tried() const { return tried_; }
  unsigned accepted() const { return accepted_; }

 private:
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[random_() % list.size()];
  }

  std::vector<uint8_t> bytes_of(const Place& place, const Instruction& insn) const {
    return {place.run.bytes.begin() + static_cast<long>(insn.offset),
            place.run.bytes.begin() + static_cast<long>(insn.end())};
  }

  void edit_register(const Place& place, const Instruction& insn) {
    if (insn.modrm_offset == 0 || insn.is_padding()) return;
    std::vector<uint8_t> bytes = bytes_of(place, insn);
    bytes[insn.modrm_offset] ^= static_cast<uint8_t>(8u << random_() % 3);
    done_++;
    check(place, "register", place.run.addr + insn.offset, bytes);
  }

  void edit_constant(const Place& place, const Instruction& insn) {
    if (insn.imm_size == 0 || insn.is_branch()) return;
    std::vector<uint8_t> bytes = bytes_of(place, insn);
    bytes[insn.imm_offset] = static_cast<uint8_t>(bytes[insn.imm_offset] + 1 + random_() % 254);
    done_++;
    check(place, "constant", place.run.addr + insn.offset, bytes);
  }

  // Another function for a call, another instruction of the function for a jump.
  void edit_target(const Place& place, const Instruction& insn) {
    if (!insn.is_branch() || insn.imm_size != 4) return;
    std::vector<uint8_t> bytes = bytes_of(place, insn);
    uint64_t target = pick(places_).run.addr;
    if (insn.kind != InstructionKind::Call) {
      std::vector<Instruction> code = decode_range(place.run.bytes, 0, place.run.bytes.size());
      target = place.run.addr + pick(code).offset;
    }
    int64_t distance = static_cast<int64_t>(target - (place.run.addr + insn.end()));
    std::memcpy(bytes.data() + insn.imm_offset, &distance, 4);
    done_++;
    check(place, "target", place.run.addr + insn.offset, bytes);
  }

  void swap(const Place& place, const Instruction& first, const Instruction& second) {
    std::vector<uint8_t> bytes = bytes_of(place, second), tail = bytes_of(place, first);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    done_++;
    check(place, "swap", place.run.addr + first.offset, bytes);
  }

  void edit_string(const Place& place) {
    const std::vector<uint64_t>& list = strings_[place.pre];
    if (list.empty()) return;
    uint64_t addr = pick(list);
    auto bytes = image_.read(addr, 1);
    if (!bytes) return;
    done_++;
    check_object(*place.pre, "string", addr, {static_cast<uint8_t>((*bytes)[0] ^ 0x20)});
  }

  // Puts bytes into the image for the time of run().
  template <typename F>
  bool with(uint64_t addr, const std::vector<uint8_t>& bytes, const F& run) {
    RunSection* section = const_cast<RunSection*>(image_.section_at(addr));
    uint8_t* at = section->data.data() + (addr - section->addr);
    std::vector<uint8_t> saved(at, at + bytes.size());
    if (saved == bytes) return false;
    std::copy(bytes.begin(), bytes.end(), at);
    run();
    std::copy(saved.begin(), saved.end(), at);
    return true;
  }

  void check(const Place& place, const char* kind, uint64_t addr,
             const std::vector<uint8_t>& bytes) {
    with(addr, bytes, [&] {
      MatchResult result = match_run_pre(*place.pre, image_);
      const FunctionMatch* match = result.find(place.symbol);
      tried_++;
      bool same = match != nullptr && match->status == MatchStatus::Matched &&
                  match->run.addr == place.run.addr && result.contradictions.empty();
      if (!same) return;
      accepted_++;
      uint64_t offset = addr - place.run.addr;
      fmt::print("ACCEPTED {} in {} {}+{:#x}\n{}---\n{}", kind, place.pre->path, place.symbol->name,
                 offset, disassemble_around(place.run.bytes, place.run.addr, offset, 2),
                 disassemble_around(*image_.read(place.run.addr, place.run.bytes.size()),
                                    place.run.addr, offset, 2));
    });
  }

  // The place belongs to some function of the object.
  void check_object(const Object& pre, const char* kind, uint64_t addr,
                    const std::vector<uint8_t>& bytes) {
    with(addr, bytes, [&] {
      MatchResult result = match_run_pre(pre, image_);
      tried_++;
      if (!result.contradictions.empty()) return;
      for (const FunctionMatch& match : result.functions)
        if (match.status != MatchStatus::Matched) return;
      accepted_++;
      fmt::print("ACCEPTED {} in {} at {:#x}\n", kind, pre.path, addr);
    });
  }

  RunImage& image_;
  std::mt19937_64 random_;
  std::vector<Place> places_;
  std::map<const Object*, std::vector<uint64_t>> strings_;
  unsigned tried_ = 0, accepted_ = 0, done_ = 0;
};

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  CLI::App app("mutate an image and see whether matching notices", "mutation");
  std::string path;
  unsigned flips = 10000, edits = 2000;
  uint64_t seed = 1;
  std::vector<std::string> objects;
  app.add_option("--image", path, "kernel or module")->required();
  app.add_option("--flips", flips, "single bits");
  app.add_option("--edits", edits, "meaningful edits");
  app.add_option("--seed", seed, "of the random numbers");
  app.add_option("PRE", objects, "objects")->required();
  CLI11_PARSE(app, argc, argv);
  return ksplice::run_tool("mutation", [&] {
    ksplice::RunImage image = ksplice::read_run_image(path);
    ksplice::Mutation mutation(image, seed);
    std::vector<std::unique_ptr<ksplice::Object>> pre;
    for (const std::string& name : objects) {
      pre.push_back(std::make_unique<ksplice::Object>(ksplice::read_object(name)));
      mutation.add(*pre.back());
    }
    mutation.flips(flips);
    mutation.edits(edits);
    fmt::print("{} mutations, {} accepted\n", mutation.tried(), mutation.accepted());
    return mutation.accepted() == 0 ? 0 : 1;
  });
}
