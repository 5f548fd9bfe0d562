// SPDX-License-Identifier: GPL-2.0
/* The kernel's own livepatch of another function than the updates replace. */
#define LIVEPATCH_OLD "version_proc_show"
#include "livepatch.c"
