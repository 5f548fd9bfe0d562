#include "objdiff/object/special_tables.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "objdiff/diff/section_diff.h"
#include "objdiff/object/elf_read.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

class SpecialTablesTest : public ::testing::Test {
 protected:
  Object object(const std::string& table) const {
    return read_object(shop_.compile("unit.S",
                                     ".globl f; .type f, @function\nf: nop; nop; ret\n"
                                     ".size f, . - f\n" +
                                         table));
  }

  test::Workshop shop_;
};

// Relocations at 0, 4 and the given place.
Section table_of(const std::string& name, uint64_t size, uint64_t third) {
  Section section;
  section.name = name;
  section.size = size;
  section.relocations.resize(3);
  section.relocations[1].offset = 4;
  section.relocations[2].offset = third;
  return section;
}

TEST_F(SpecialTablesTest, RefusesATableWithoutContent) {
  Object locks = object(".section .smp_locks, \"a\"\n.long f - ., f + 1 - .\n");
  Section& section = *locks.find_section(".smp_locks");
  EXPECT_EQ(table_entry_size(section), 4u);
  section.type = SHT_NOBITS;
  section.data.clear();
  section.align = 4;
  section.size = 6;  // the last is not padded, if the others end with two zeros
  const Atoms atoms(locks);
  const SpecialTables tables(atoms);
  ASSERT_EQ(tables.refusals().size(), 1u);
  EXPECT_EQ(tables.refusals()[0].code, "unknown_section");
}

TEST_F(SpecialTablesTest, DoesNotCountToAHugeSize) {
  constexpr uint64_t Huge = uint64_t{1} << 60;
  EXPECT_EQ(table_entry_size(table_of(".altinstructions", Huge, Huge - 4)), 0u);
  EXPECT_EQ(regular_entry_size(table_of(".other", Huge, Huge - 4)), 0u);
  Section padded = table_of(".altinstructions", 32, 20);
  padded.data.resize(32);
  padded.align = Huge;  // as large as a padded end can be
  EXPECT_EQ(table_entry_size(padded), 0u);
}

TEST_F(SpecialTablesTest, FindsSizesBetweenRelocations) {
  Section section = table_of(".altinstructions", 40, 20);
  section.data.resize(40);
  section.relocations.push_back(section.relocations[1]);
  section.relocations[3].offset = 24;
  EXPECT_EQ(table_entry_size(section), 20u);
  EXPECT_EQ(regular_entry_size(section), 20u);
}

// Nothing can be compared behind the places of code and replacement.
TEST_F(SpecialTablesTest, TakesShortAlternativesForChanged) {
  const Object unit = object(
      ".section .altinstructions, \"a\"\n.long f - .\n.byte g - .\n"
      ".section .altinstr_replacement, \"ax\"\n.globl g\ng: nop\n");
  ASSERT_EQ(table_entry_size(*unit.find_section(".altinstructions")), 5u);
  const ObjectDiff diff = diff_objects(unit, unit);
  ASSERT_EQ(diff.functions.size(), 1u);
  EXPECT_EQ(diff.functions[0].status, DiffStatus::Changed);
}

}  // namespace
}  // namespace ksplice
