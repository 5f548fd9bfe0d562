/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The modules of the undo campaign. Each case NAME has a function NAME_give() that a patch changes
 * to give away the address of something new, and NAME_poke(), of the module as it is, that uses
 * what was given away: undo_campaign.sh calls both through /proc/giver_MODULE. Old code counts by
 * ones in NAME_hits, new code by thousands, so that the guest sees whose code still runs.
 *
 * The objects that patches write to are not static: the compiler would see that the original never
 * writes to them.
 *
 * #ifdef PATCH_NAME ... #else ... #endif in the sources is no conditional: the campaign makes the
 * original (nothing defined) and one patch for each NAME of it. It is not nested.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

struct giver {
  const char* name;
  void (*give)(void);
  void (*poke)(void);
  int* hits;
};

#define HITS(name) int name##_hits
#define GIVE(name) static noinline void name##_give(void)
#define POKE(name) static noinline void name##_poke(void)
#define GIVER(name) \
  { #name, name##_give, name##_poke, &name##_hits }

/* After the table givers[]: the file of the module. It is never unloaded. */
#define GIVERS(module)                                                                        \
  static int givers_show(struct seq_file* m, void* v) {                                       \
    int i;                                                                                    \
                                                                                              \
    for (i = 0; i < ARRAY_SIZE(givers); i++)                                                  \
      seq_printf(m, "%s %d\n", givers[i].name, READ_ONCE(*givers[i].hits));                   \
    return 0;                                                                                 \
  }                                                                                           \
  static int givers_open(struct inode* inode, struct file* file) {                            \
    return single_open(file, givers_show, NULL);                                              \
  }                                                                                           \
  static ssize_t givers_write(struct file* file, const char __user* from, size_t size,        \
                              loff_t* at) {                                                   \
    char text[40] = "";                                                                       \
    int i;                                                                                    \
                                                                                              \
    if (size < 3 || size >= sizeof(text) || copy_from_user(text, from, size)) return -EINVAL; \
    strim(text);                                                                              \
    for (i = 0; i < ARRAY_SIZE(givers); i++) {                                                \
      if (strcmp(text + 2, givers[i].name)) continue;                                         \
      if (text[0] == 'g')                                                                     \
        givers[i].give();                                                                     \
      else                                                                                    \
        givers[i].poke();                                                                     \
      return size;                                                                            \
    }                                                                                         \
    return -ENOENT;                                                                           \
  }                                                                                           \
  static const struct proc_ops givers_ops = {                                                 \
      .proc_open = givers_open,                                                               \
      .proc_read = seq_read,                                                                  \
      .proc_lseek = seq_lseek,                                                                \
      .proc_release = single_release,                                                         \
      .proc_write = givers_write,                                                             \
  };                                                                                          \
  static int __init givers_init(void) {                                                       \
    return proc_create("giver_" #module, 0600, NULL, &givers_ops) ? 0 : -ENOMEM;              \
  }                                                                                           \
  module_init(givers_init);                                                                   \
  MODULE_LICENSE("GPL")
