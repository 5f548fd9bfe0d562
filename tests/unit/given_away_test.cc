// What an update's code does with the addresses of what the update brings along: everything that a
// small source defines is the update's, everything that it only declares is the kernel's.
#include "objdiff/diff/given_away.h"

#include <gtest/gtest.h>

#include "objdiff/object/elf_read.h"
#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

const char* const Common = R"(
#define noinline __attribute__((noinline, noclone))
typedef void (*function)(void);
struct node { struct node *next, *prev; };
struct object { long a; function fn; const char *name; struct node node; };
extern int _printk(const char *, ...), snprintf(char *, unsigned long, const char *, ...);
extern int strcmp(const char *, const char *);
extern void *memcpy(void *, const void *, unsigned long), *memset(void *, int, unsigned long);
extern void mutex_lock(void *), mutex_unlock(void *), _raw_spin_lock(void *), _raw_spin_unlock(void *);
extern void keep(void *), keep_name(const char *), call_rcu(void *, function), __local_bh_enable_ip(void *);
extern int work(int), count;
static noinline void fresh(void) { count++; }
static noinline void other(void) { count--; }
void *unused[] = { fresh, other };
)";

std::string given_away(const std::string& source) {
  test::Workshop shop;
  const std::string path = shop.compile(
      "unit.c", Common + source,
      test::with(test::KernelFlags, {"-ffunction-sections", "-fdata-sections", "-fno-builtin"}));
  const Object object = read_object(path);
  std::string text;
  for (const GivenAway& away : find_given_away(object))
    text += away.function + ": " + away.what + " " + away.how + "\n";
  return text;
}

struct Case {
  const char* name;
  const char* source;
  const char* expected;
};

class GivenAwayTest : public testing::TestWithParam<Case> {};

TEST_P(GivenAwayTest, SaysWhatMayBeInUse) {
  EXPECT_EQ(given_away(GetParam().source), GetParam().expected);
}

const Case Cases[] = {
    {"Timer", "void f(struct object *o) { o->fn = fresh; }", "f: fresh is stored\n"},
    {"Argument", "void f(void *head) { call_rcu(head, fresh); work(1); }",
     "f: fresh is passed to call_rcu\n"},
    {"TailCall", "void f(void *head) { call_rcu(head, fresh); }",
     "f: fresh is passed to call_rcu\n"},
    {"Notifier",
     "static struct object block = { .fn = fresh }; void f(void) { keep(&block); work(1); }",
     "f: block is passed to keep\n"},
    {"Name", "void f(void) { keep_name(\"eth\"); work(1); }",
     "f: the text \"eth\" is passed to keep_name\n"},
    {"StoredName", "void f(struct object *o) { o->name = \"eth\"; }",
     "f: the text \"eth\" is stored\n"},
    {"Returned", "const char *f(void) { return \"eth\"; }", "f: the text \"eth\" is returned\n"},
    {"ReturnedByCondition", "const char *f(int x) { return x ? \"a\" : 0; }",
     "f: the text \"a\" is returned\n"},
    {"ListHead",
     "static struct node list = { &list, &list };"
     "void f(struct object *o) { o->node.next = list.next; o->node.prev = &list; list.next = "
     "&o->node; }",
     "f: list is stored\n"},
    {"LoadedFromOwnData",
     "static struct node list = { &list, &list };"
     "void f(struct object *o) { o->node.next = list.next; }",
     "f: list is stored\n"},
    {"LoadedFromOwnTable",
     "static const function table[] = { fresh, other }; void f(struct object *o, int i) { o->fn = "
     "table[i]; }",
     "f: table is stored\n"},
    {"Selected", "void f(struct object *o, int x) { o->fn = x ? fresh : other; }",
     "f: other is stored\nf: fresh is stored\n"},
    {"InOwnData",
     "static function hook; void f(void) { hook = fresh; } void g(void) { if (hook) hook(); }",
     "f: fresh is stored\n"},
    {"ThroughHelper",
     "static noinline void set(struct object *o, function fn) { o->fn = fn; work(2); }"
     "void f(struct object *o) { work(1); set(o, fresh); work(3); }",
     "f: fresh is stored\n"},
    {"ThroughTwoHelpers",
     "static noinline void inner(function fn, void *head) { call_rcu(head, fn); work(1); }"
     "static noinline void outer(void *head, function fn) { inner(fn, head); work(2); }"
     "void f(void *head) { outer(head, fresh); work(3); }",
     "f: fresh is passed to call_rcu\n"},
    {"HelperReturnsIt",
     "static noinline const char *pick(const char *a) { work(1); return a; }"
     "void f(struct object *o) { o->name = pick(\"eth\"); }",
     "f: the text \"eth\" is stored\n"},
    {"InTheFrame", "void f(void) { struct object o = { .fn = fresh }; keep(&o); work(1); }",
     "f: fresh is passed to keep\n"},
    {"ReadBackFromTheFrame",
     "void f(struct object *o) { struct object l, *p = &l; l.fn = fresh; "
     "asm volatile(\"\" : \"+r\"(p) : : \"memory\"); o->fn = p->fn; work(1); }",
     "f: fresh is stored\n"},
    {"CopiedFromTheFrame",
     "void f(struct object *o) { struct object l = { .fn = fresh }; memcpy(o, &l, sizeof l); "
     "work(1); }",
     "f: fresh is passed to memcpy\n"},
    {"PushedArgument",
     "extern void many(int, int, int, int, int, int, function);"
     "void f(int x) { many(x, x, x, x, x, x, fresh); work(1); }",
     "f: fresh is passed to many\n"},
    {"Pointer", "void f(void (*call)(function)) { call(fresh); work(1); }",
     "f: fresh is passed to a function\n"},
    {"CopiedWithItsPointers",
     "static const struct object model = { .fn = fresh };"
     "void f(struct object *o) { memcpy(o, &model, sizeof model); work(1); }",
     "f: model is passed to memcpy\n"},
    {"AfterALoop",
     "void f(struct object *o, int n) { function fn = fresh; while (n--) fn = work(n) ? other : "
     "fn; o->fn = fn; }",
     "f: fresh is stored\nf: other is stored\n"},
    {"LockLeftToAnother", "static long lock[4]; void f(void) { mutex_lock(lock); }",
     "f: lock is left to mutex_lock, which may sleep\n"},
    {"StoredByAssembly",
     "void f(struct object *o) { asm volatile(\"xchg %0, %1\" : : \"r\"(fresh), \"m\"(o->fn) : "
     "\"memory\"); }",
     "f: fresh is stored\n"},
    {"UnknownInstruction",
     "void f(void) { asm volatile(\"movq %0, %%cr3\" : : \"r\"(fresh) : \"memory\"); }",
     "f: fresh goes into a register that is not followed\n"},

    {"Message", "void f(int x) { _printk(\"x %d\\n\", x); work(1); }", ""},
    {"MessageLast", "void f(int x) { _printk(\"x %d\\n\", x); }", ""},
    {"MessageWithName", "void f(void) { _printk(\"%s: %s\\n\", __func__, \"late\"); work(1); }",
     ""},
    {"LongMessage",
     "void f(int x) { _printk(\"%d %d %d %d %d %d %s\\n\", x, x, x, x, x, x, \"end\"); "
     "work(count); count++; }",
     ""},
    {"Text",
     "void f(char *to, const char *s) { if (!strcmp(s, \"on\")) snprintf(to, 9, \"%s\", \"yes\"); "
     "work(1); }",
     ""},
    {"DirectCall", "void f(void) { fresh(); other(); }", ""},
    {"Compared", "int f(struct object *o) { return o->fn == fresh ? work(1) : 0; }", ""},
    {"Counter", "static long calls[3]; void f(int i) { calls[i]++; if (calls[0] > 9) work(1); }",
     ""},
    {"TableOfNumbers",
     "static const int steps[] = { 3, 1, 4, 1, 5, 9 }; int f(int i) { return work(steps[i]) + "
     "steps[i + 1]; }",
     ""},
    {"CalledThroughTable",
     "static const function table[] = { fresh, other }; void f(int i) { table[i](); work(1); }",
     ""},
    {"Lock",
     "static long lock[4]; void f(void) { mutex_lock(lock); count++; mutex_unlock(lock); work(1); "
     "}",
     ""},
    {"SpinLock",
     "static int lock; void f(void) { _raw_spin_lock(&lock); count++; _raw_spin_unlock(&lock); }",
     ""},
    {"OwnBuffer",
     "static char buffer[64]; void f(int x) { memset(buffer, 0, 64); snprintf(buffer, 64, \"%d\", "
     "x); "
     "_printk(\"%s\\n\", buffer); work(1); }",
     ""},
    {"HelperForgets",
     "static noinline void say(const char *what, int x) { work(x); _printk(\"%s %d\\n\", what, x); "
     "work(x); }"
     "void f(int x) { say(\"first\", x); say(\"second\", x); work(1); }",
     ""},
    {"Label",
     "void f(void) { void *here; work(2); asm volatile(\"1: mov $1b, %0\" : \"=r\"(here)); "
     "__local_bh_enable_ip(here); work(1); }",
     ""},
    {"Switch",
     "int f(int x) { switch (x) { case 0: return work(7); case 1: return work(9); case 2: fresh(); "
     "return 1;"
     " case 3: return work(11); case 4: return work(x); case 5: other(); return 2; case 6: return "
     "3; } return 0; }",
     ""},
};

INSTANTIATE_TEST_SUITE_P(Ways, GivenAwayTest, testing::ValuesIn(Cases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace ksplice
