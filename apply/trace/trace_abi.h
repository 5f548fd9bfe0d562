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

#define TRACE_NO_STACK 0xffffffffU
#define TRACE_EVENTS (1 << 20) /* bytes of events that wait to be read; a power of two */

/* What is to be done, the one value of the map "counting". */
#define TRACE_COUNT 0x1 /* calls count now */
#define TRACE_USERS 0x2 /* user stacks, too */

/*
 * A declared condition on the arguments with which the original is entered: terms, each of which
 * must be met, or any of several such groups. A term compares with a constant what an argument is,
 * or what is at the end of a chain of pointers.
 */
#define TRACE_TERMS 8
#define TRACE_STEPS 4
#define TRACE_ARGUMENTS 6 /* that are in registers */

enum trace_operator {
  TRACE_EQUAL,
  TRACE_NOT_EQUAL,
  TRACE_LESS,
  TRACE_LESS_OR_EQUAL,
  TRACE_GREATER,
  TRACE_GREATER_OR_EQUAL,
  TRACE_BITS /* any of them is set */
};

struct trace_term {
  __u8 argument;
  __u8 steps; /* pointers that are followed; 0: the argument itself is compared */
  __u8 size;  /* bytes of what is compared: 1, 2, 4, 8 */
  __u8 is_signed;
  __u8 shift, bits; /* of these bytes, where it is no more than a part of them (a bit field) */
  __u8 op;
  __u8 is_first; /* of a group */
  __u64 value;
  __u32 offsets[TRACE_STEPS]; /* added to a pointer before it is followed */
};

struct trace_tripwire {
  __u64 terms; /* 0: there is no condition */
  struct trace_term term[TRACE_TERMS];
};

enum { TRACE_EVENT_PROCESS, TRACE_EVENT_TRIP };

/* Something that is told at once: a process that was not seen before, or a condition that was met.
 */
struct trace_event {
  __u32 kind;
  __u32 function;
  __u32 pid;
  __u32 uid;
  __u64 time; /* ns, CLOCK_MONOTONIC */
  char name[TRACE_NAME];
  __u64 compared; /* a bit for each term of the group that was met */
  __u64 values[TRACE_TERMS];
};

struct trace_slot_key {
  __u64 place;
  __u64 function;
};

struct trace_slot {
  __u64 start; /* ns; 0: the call has returned */
  __u32 body;
  __u32 stack; /* the id of its stack, if that is counted; else TRACE_NO_STACK */
  __u32 user_stack;
  __u32 user_is_counted;
};

/* One per function and processor. */
struct trace_counts {
  __u64 calls;     /* entries, of either body, each call once */
  __u64 new_calls; /* those of them that came to the new body */
  __u64 unlisted;  /* calls whose process found no row */
  __u64 no_result; /* results that found no row */
  __u64 stacks;    /* stacks that were looked at */
  __u64 no_stack;  /* those of them that could not be kept */
  __u64 no_user;   /* those of them of which the user's row could not be kept */
  __u64 trips;     /* calls that met the condition */
  __u64 unread;    /* calls of which it could not be read whether they do */
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
  __u64 trips;
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

struct trace_user_key {
  __u32 function;
  __u32 pid;
  __u32 user_stack; /* TRACE_NO_STACK: none, a thread of the kernel */
  __u32 stack;
};

struct trace_stack {
  __u64 calls;
  __u64 new_calls; /* those of them that came to the new body */
};

struct trace_budget {
  __u64 since;
  __u64 taken;
};

#endif
