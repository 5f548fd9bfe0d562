/* SPDX-License-Identifier: GPL-2.0 */
#define FRUIT_WEIGHT 3

const char* fruit_name(unsigned int n);
