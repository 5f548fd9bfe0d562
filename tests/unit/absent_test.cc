#include "create/absent.h"

#include <elf.h>
#include <gtest/gtest.h>

namespace ksplice {
namespace {

// A unit with the one function f, changed.
class Absent : public testing::Test {
 protected:
  Absent() {
    unit_.name = "kernel/a.o";
    auto section = std::make_unique<Section>();
    auto symbol = std::make_unique<Symbol>();
    symbol->name = "f";
    symbol->bind = STB_WEAK;
    symbol->type = STT_FUNC;
    symbol->section = section.get();
    pre_ = symbol.get();
    unit_.pre.sections.push_back(std::move(section));
    unit_.pre.symbols.push_back(std::move(symbol));
    for (const char* name : {"f", "f.cold", "g"}) {
      FunctionDiff function;
      function.name = name;
      function.status = name == std::string("f") ? DiffStatus::Changed : DiffStatus::New;
      if (function.status == DiffStatus::Changed) function.pre = pre_;
      unit_.diff.functions.push_back(function);
    }
    image_.target = "vmlinux";
  }

  // The names that the image has.
  void have(std::vector<RunSymbol> symbols) {
    image_.symbols = std::move(symbols);
    image_.by_name.clear();
    for (size_t i = 0; i < image_.symbols.size(); ++i)
      image_.by_name.emplace(image_.symbols[i].name, i);
  }

  std::string why() const { return why_absent(unit_, unit_.diff.functions[0], image_); }

  Symbol* pre_;
  ChangedUnit unit_;
  RunImage image_;
};

TEST_F(Absent, AWeakDefaultWithAnotherDefinition) {
  have({{"f", 0x1000, 16, 'T'}});
  EXPECT_EQ(why(), "it is a weak default, and the kernel has another definition");
  EXPECT_EQ(leave_out_absent(unit_, image_).size(), 1u);
  // f stays as it is, its new fragment goes, and g is no part of it.
  ASSERT_EQ(unit_.diff.functions.size(), 2u);
  EXPECT_EQ(unit_.diff.functions[0].status, DiffStatus::Same);
  EXPECT_EQ(unit_.diff.functions[1].name, "g");
  EXPECT_TRUE(has_changes(unit_));
}

TEST_F(Absent, AWeakDefaultThatHasTheBytesOfWhatOverridesIt) {
  unit_.match.functions.emplace_back();
  unit_.match.functions.back().pre = pre_;
  unit_.match.functions.back().status = MatchStatus::Matched;
  have({{"f", 0x1000, 16, 'W'}});
  EXPECT_TRUE(leave_out_absent(unit_, image_).empty());
  have({{"f", 0x1000, 16, 'T'}});
  EXPECT_EQ(leave_out_absent(unit_, image_).size(), 1u);
  EXPECT_EQ(unit_.diff.functions[0].status, DiffStatus::Same);
}

TEST_F(Absent, NotWithoutEvidence) {
  EXPECT_EQ(why(), "") << "no symbol";
  for (char type : {'W', 'w', 't'}) {
    have({{"f", 0x1000, 16, type}});
    EXPECT_EQ(why(), "") << type;
  }
  have({{"f", 0x1000, 16, 'T'}, {"f", 0x2000, 16, 'T'}});
  EXPECT_EQ(why(), "") << "two";
  have({{"f", 0x1000, 16, 'T'}});
  pre_->bind = STB_GLOBAL;
  EXPECT_EQ(why(), "") << "not weak";
  EXPECT_TRUE(leave_out_absent(unit_, image_).empty());
  EXPECT_EQ(unit_.diff.functions.size(), 3u);
}

TEST_F(Absent, AUnitThatStayedInTheArchive) {
  pre_->bind = STB_GLOBAL;
  unit_.name = "lib/a.o";
  EXPECT_EQ(why(), "the kernel has nothing of lib/a.o");
  have({{"f", 0x1000, 16, 'T'}});
  EXPECT_EQ(why(), "");
}

}  // namespace
}  // namespace ksplice
