// SPDX-License-Identifier: GPL-2.0
/* Update for tests: replaces the function of nmi.c, which the NMI calls while that is done and undone. */
#include <linux/module.h>

int nmi_start(void);

static noinline int new_answer(void)
{
	int answer = 2;

	asm volatile("" : "+r"(answer) : : "memory");
	return answer;
}

static int check(void)
{
	return nmi_start();
}

static void *hooks[] = { check };

#ifdef NMI_BARE
#define UPDATE_ID "nmi_bare"
#define UPDATE_TARGET "nmi_bare"
#else
#define UPDATE_ID "nmi"
#define UPDATE_TARGET "nmi"
#endif
#define UPDATE_OBJECTS 1
#define UPDATE_FUNCTIONS(F) F(nmi_answer, new_answer)
#define UPDATE_HOOKS { [KSPLICE_HOOK_CHECK_APPLY] = { P(hooks), 1 }, [KSPLICE_HOOK_CHECK_REVERSE] = { P(hooks), 1 } }
#include "update.h"
