/* sleepers N: N threads that sleep for ever; says "ready" when all are there. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	for (int i = argc > 1 ? atoi(argv[1]) : 1; i; i--)
		if (pthread_create(&thread, &attributes, sleep_on, NULL))
			return 1;
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
