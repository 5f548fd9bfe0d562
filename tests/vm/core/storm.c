/* Load for the guest: storm SECONDS. Forks, executes itself, reads files, sends datagrams and signals,
 * and calls patched system calls, checking their answers. Exit 1 if an answer was wrong. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static time_t end;
static int wrong;

static void on_signal(int number) { (void)number; }

static void *call_syscalls(void *unused)
{
	long pid = getpid();
	char buf[256];

	while (time(NULL) < end) {
		for (int i = 0; i < 200; i++)
			if (syscall(SYS_getpid) != pid || syscall(SYS_getuid) != 0 || syscall(SYS_getgid) != 0)
				wrong = 1;
		int fd = open("/proc/cmdline", O_RDONLY);
		ssize_t n = read(fd, buf, sizeof(buf) - 1);
		buf[n < 0 ? 0 : n] = 0;
		if (strcmp(buf, "new\n") && !strstr(buf, "console="))
			wrong = 1;
		close(fd);
		usleep(3000);
	}
	return unused;
}

static void *fork_and_exec(void *unused)
{
	while (time(NULL) < end) {
		pid_t child = fork();

		if (!child) {
			execl("/proc/self/exe", "storm", "0", (char *)NULL);
			_exit(1);
		}
		kill(child, SIGUSR1);
		waitpid(child, NULL, 0);
		usleep(3000);
	}
	return unused;
}

static void *send_datagrams(void *unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
	char buf[512] = "datagram";

	bind(in, (struct sockaddr *)&address, sizeof(address));
	getsockname(in, (struct sockaddr *)&address, &length);
	while (time(NULL) < end) {
		sendto(out, buf, sizeof(buf), 0, (struct sockaddr *)&address, sizeof(address));
		recv(in, buf, sizeof(buf), MSG_DONTWAIT);
		usleep(2000);
	}
	return unused;
}

int main(int argc, char **argv)
{
	void *(*const loads[])(void *) = { call_syscalls, fork_and_exec, send_datagrams, call_syscalls };
	pthread_t threads[4];
	int seconds = argc > 1 ? atoi(argv[1]) : 0;

	if (!seconds)
		return 0;
	signal(SIGUSR1, on_signal);
	end = time(NULL) + seconds;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, loads[i], NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return wrong;
}
