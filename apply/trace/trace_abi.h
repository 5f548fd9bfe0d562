/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the BPF programs (trace.bpf.c) count, and ksplice-trace reads (session.cc). The one file
 * that both share.
 *
 * A call is known by where its return address lies: no two calls that are under way at one time
 * have the same place on a stack, whatever task, interrupt or recursion they belong to, and a call
 * that the update's jump leads on to the new body keeps its place. Two traced functions of which
 * one ends with a jump to the other share a place, so the function belongs to the key.
 */
#ifndef KSPLICE_TRACE_ABI_H
#define KSPLICE_TRACE_ABI_H

#include <linux/types.h>

#define TRACE_FUNCTIONS 256 /* at most, in one trace */
#define TRACE_SLOTS 32768   /* calls under way that are remembered */
#define TRACE_ROWS 4096     /* of a table: processes, results, stacks */
#define TRACE_BUCKETS 48    /* of time: bucket n holds 2^n up to 2^(n+1) - 1 ns */
#define TRACE_FRAMES 64
#define TRACE_NAME 16
/* Stacks are looked at of the first calls of each second and processor, then of every 256th. */
#define TRACE_STACK_BUDGET 2000
#define TRACE_STACK_EVERY 256

/* What a probe knows of its function: the attachment's cookie. */
#define TRACE_COOKIE_FUNCTION 0xffffULL
#define TRACE_COOKIE_VOID 0x20000ULL /* nothing is returned */
#define TRACE_COOKIE_POINTER 0x40000ULL
#define TRACE_COOKIE_SIGNED 0x80000ULL
#define TRACE_COOKIE_SIZE_SHIFT 24 /* bytes of the result; 0: not known, all eight are taken */

enum { TRACE_OLD, TRACE_NEW, TRACE_BODIES };

/* A pointer that is neither NULL nor an error counts as this. */
#define TRACE_A_POINTER 1

struct trace_slot_key {
  __u64 place;
  __u64 function;
};

struct trace_slot {
  __u64 start; /* ns; 0: the call has returned */
  __u64 body;
};

/* One per function and processor. */
struct trace_counts {
  __u64 calls;     /* entries, of either body, each call once */
  __u64 new_calls; /* those of them that came to the new body */
  __u64 unlisted;  /* calls whose process found no row */
  __u64 no_result; /* results that found no row */
  __u64 stacks;    /* stacks that were looked at */
  __u64 no_stack;  /* those of them that could not be kept */
};

/* One per function, body and processor. */
struct trace_latency {
  __u64 returned;
  __u64 total; /* ns */
  __u64 longest;
  __u64 buckets[TRACE_BUCKETS];
};

struct trace_process_key {
  __u32 function;
  __u32 pid;
};

struct trace_process {
  __u64 calls;
  __u64 new_calls;
  char name[TRACE_NAME];
};

struct trace_result_key {
  __u32 function;
  __u32 body;
  __s64 value;
};

struct trace_stack_key {
  __u32 function;
  __u32 stack;
};

struct trace_budget {
  __u64 since;
  __u64 taken;
};

#endif
