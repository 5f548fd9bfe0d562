/* SPDX-License-Identifier: GPL-2.0 */
/* EACH(M) is M(100) ... M(1099), for tables of a thousand functions. */
#define EACH_10(M, n) M(n##0) M(n##1) M(n##2) M(n##3) M(n##4) M(n##5) M(n##6) M(n##7) M(n##8) M(n##9)
#define EACH_100(M, n) \
	EACH_10(M, n##0) EACH_10(M, n##1) EACH_10(M, n##2) EACH_10(M, n##3) EACH_10(M, n##4) \
	EACH_10(M, n##5) EACH_10(M, n##6) EACH_10(M, n##7) EACH_10(M, n##8) EACH_10(M, n##9)
#define EACH(M) \
	EACH_100(M, 1) EACH_100(M, 2) EACH_100(M, 3) EACH_100(M, 4) EACH_100(M, 5) \
	EACH_100(M, 6) EACH_100(M, 7) EACH_100(M, 8) EACH_100(M, 9) EACH_100(M, 10)
