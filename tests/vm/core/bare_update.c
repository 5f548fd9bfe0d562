// SPDX-License-Identifier: GPL-2.0
/* Update for tests: replaces functions of bare.c, which then answer 2. The update on top of it answers 3. */
#include <linux/compiler.h>
#include <linux/module.h>

#ifndef BARE_ANSWER
#define BARE_ANSWER 2
#endif

static notrace noinline int new_answer(int n)
{
	return BARE_ANSWER;
}

static notrace noinline int new_other(int n)
{
	asm volatile("" : "+r"(n) : : "memory");
	return BARE_ANSWER;
}

#define UPDATE_TARGET "bare"
#define UPDATE_OBJECTS 1
#ifdef BARE_FUNCTION
#define ONLY(F, name) F(name, new_answer)
#define UPDATE_FUNCTIONS(F) ONLY(F, BARE_FUNCTION)
#else
#define UPDATE_FUNCTIONS(F) F(bare_plain, new_answer) F(bare_short, new_other) F(bare_recursive, new_other) F(bare_inner, new_other)
#endif
#include "update.h"
