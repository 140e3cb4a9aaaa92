/*
 * The first process of a machine that measures other programs.
 *
 *     /init measure PROGRAM...     counts the calls of each, looks at its memory
 *     /init run PROGRAM...         runs each, for QEMU to log the instructions
 *     /init stamp PROGRAM WORD...  runs it and tells when each line came
 *
 * The numbers go to the console in sections: a line `== PROGRAM WHAT`, then text.
 * They are taken from a real kernel, because only there the name is given and the
 * job done; an emulator of user processes answers EINVAL. Each program is started
 * alike: no environment, its output a file, so that no libc flushes line by line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where a program's standard output goes. */
static const char output[] = "/output";

static void must(int done, const char *what)
{
	if (!done) {
		printf("== meter failed\n%s: %s\n", what, strerror(errno));
		fflush(stdout);
		reboot(RB_POWER_OFF);
		_exit(1);
	}
}

/* Starts a program whose standard input is `in` and whose output goes to `out`. */
static pid_t start(char **words, int in, int out, int traced)
{
	pid_t pid = fork();
	char *no_environment[] = { NULL };

	must(pid >= 0, "fork");
	if (pid == 0) {
		must(dup2(in, 0) == 0 && dup2(out, 1) == 1, "dup2");
		must(!traced || ptrace(PTRACE_TRACEME, 0, 0, 0) == 0, "ptrace");
		execve(words[0], words, no_environment);
		must(0, words[0]);
	}
	return pid;
}

static int open_output(int flags)
{
	int file = open(output, flags | O_CLOEXEC, 0600);

	must(file >= 0, output);
	return file;
}

/* Copies a file to the console. */
static void show(const char *path)
{
	char line[4096];
	FILE *file = fopen(path, "re");

	must(file != NULL, path);
	while (fgets(line, sizeof(line), file))
		fputs(line, stdout);
	fclose(file);
}

/*
 * Runs a program and counts its system calls. The one that started it is not
 * among them, the one that ends it is.
 */
static void count_calls(char **words)
{
	unsigned long stops = 0;
	int status, in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open_output(O_WRONLY | O_CREAT | O_TRUNC);
	pid_t pid = start(words, in, out, 1);

	/* It stops when it has been loaded, then before and after each call. */
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	while (WIFSTOPPED(status)) {
		must(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0, "ptrace");
		must(waitpid(pid, &status, 0) == pid, "waitpid");
		stops += WIFSTOPPED(status);
	}
	close(in);
	close(out);
	printf("== %s exit\n%d\n", words[0], WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	/* From the last one it does not come back. */
	printf("== %s calls\n%lu\n", words[0], (stops + 1) / 2);
	printf("== %s transcript\n", words[0]);
	show(output);
}

static void show_of(pid_t pid, const char *program, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	printf("== %s %s\n", program, what);
	show(path);
}

/* Whether a file holds the words. */
static int holds(const char *path, const char *words)
{
	char text[4096];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(file, text, sizeof(text) - 1);

	must(length >= 0, path);
	close(file);
	text[length] = 0;
	return strstr(text, words) != NULL;
}

static int sleeps(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return holds(path, "State:\tS");
}

/* Looks at a program that waits at its last prompt. */
static void look(char **words)
{
	char *program = words[0], *alone[] = { program, NULL };
	int status, pipes[2], out = open_output(O_WRONLY | O_CREAT | O_TRUNC);
	pid_t pid;

	must(pipe2(pipes, O_CLOEXEC) == 0, "pipe2");
	pid = start(alone, pipes[0], out, 0);
	must(write(pipes[1], "\n\n\n", 3) == 3, "write");
	while (!holds(output, "maps_4_ummap.txt") || !sleeps(pid)) {
		must(waitpid(pid, &status, WNOHANG) == 0, program);
		usleep(1000);
	}
	show_of(pid, program, "status");
	show_of(pid, program, "maps");
	close(pipes[1]);
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	close(pipes[0]);
	close(out);
}

static void run(char **words)
{
	int status, in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open_output(O_WRONLY | O_CREAT | O_TRUNC);
	pid_t pid = start(words, in, out, 0);

	must(waitpid(pid, &status, 0) == pid, "waitpid");
	close(in);
	close(out);
}

static void each(char **programs, void (*act)(char **words))
{
	char quiet[] = "-q", yes[] = "-y";

	for (; *programs; programs++) {
		char *words[] = { *programs, quiet, yes, NULL };

		act(words);
	}
}

static uint64_t ticks(void)
{
	uint64_t value;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value));
	return value;
}

static uint64_t frequency(void)
{
	uint64_t value;

	__asm__("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
}

/* Tells of each line of a program's output how long after the start it came. */
static void stamp(char **words)
{
	char line[4096];
	int status, pipes[2], in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint64_t from = ticks();
	FILE *lines;

	must(pipe2(pipes, O_CLOEXEC) == 0, "pipe2");
	start(words, in, pipes[1], 0);
	close(pipes[1]);
	lines = fdopen(pipes[0], "r");
	must(lines != NULL, "fdopen");
	printf("== %s stamps\n", words[0]);
	while (fgets(line, sizeof(line), lines))
		printf("%llu %s", (unsigned long long)((ticks() - from) * 1000000 / frequency()), line);
	wait(&status);
}

int main(int argc, char **argv)
{
	const char *task = argc > 2 ? argv[1] : "";

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	must(mount("dev", "/dev", "devtmpfs", 0, NULL) == 0, "mount /dev");
	must(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount /proc");
	if (strcmp(task, "measure") == 0) {
		each(argv + 2, count_calls);
		each(argv + 2, look);
	} else if (strcmp(task, "run") == 0) {
		each(argv + 2, run);
	} else if (strcmp(task, "stamp") == 0) {
		stamp(argv + 2);
	}
	printf("== meter done\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
}
