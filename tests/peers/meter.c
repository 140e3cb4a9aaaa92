/*
 * The init of a machine that measures other programs.
 *
 *     /init measure    system calls and memory of each command
 *     /init cost       memory of each command, and the time of a run
 *     /init run        runs each command, while QEMU logs instructions
 *     /init stamp      runs each command, with the time of each line of its output
 *     /init time       runs each command on three processes with 10, 1,000 and 65,530 mappings,
 *                      and prints the time of each; @ in its words becomes the process id
 *
 * The file /commands has a command in each line: a path and words, with a space
 * between them. The results go to the console in sections: a line `== NUMBER WHAT`,
 * where NUMBER counts the commands from 0, then text.
 *
 * The machine runs a real kernel, because QEMU's user mode refuses PR_SET_VMA. All
 * commands start in the same way: without environment, and with their output in a
 * file, so that a libc does not flush it line by line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The file that takes the standard output of the command. */
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

/* Starts a command with `in` and `out` as standard input and output. */
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

/* Counts the system calls after execve(2), including the one that exits. */
static void count_calls(int number, char **words)
{
	unsigned long stops = 0;
	int status, in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open_output(O_WRONLY | O_CREAT | O_TRUNC);
	pid_t pid = start(words, in, out, 1);

	/* The command stops after execve(2), then before and after each call. */
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	while (WIFSTOPPED(status)) {
		must(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0, "ptrace");
		must(waitpid(pid, &status, 0) == pid, "waitpid");
		stops += WIFSTOPPED(status);
	}
	close(in);
	close(out);
	printf("== %d exit\n%d\n", number, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	/* The last call does not return, so it stops only once. */
	printf("== %d calls\n%lu\n", number, (stops + 1) / 2);
	printf("== %d transcript\n", number);
	show(output);
}

static void show_of(pid_t pid, int number, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	printf("== %d %s\n", number, what);
	show(path);
}

/* Whether a file contains `words`. */
static int contains(const char *path, const char *words)
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
	return contains(path, "State:\tS");
}

/* Shows the memory of a program that waits at its last prompt. */
static void show_memory(int number, char **words)
{
	char *alone[] = { words[0], NULL };
	int status, pipes[2], out = open_output(O_WRONLY | O_CREAT | O_TRUNC);
	pid_t pid;

	must(pipe2(pipes, O_CLOEXEC) == 0, "pipe2");
	pid = start(alone, pipes[0], out, 0);
	must(write(pipes[1], "\n\n\n", 3) == 3, "write");
	while (!contains(output, "maps_4_ummap.txt") || !sleeps(pid)) {
		must(waitpid(pid, &status, WNOHANG) == 0, words[0]);
		usleep(1000);
	}
	show_of(pid, number, "status");
	show_of(pid, number, "maps");
	close(pipes[1]);
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	close(pipes[0]);
	close(out);
}

static void measure(int number, char **words)
{
	count_calls(number, words);
	show_memory(number, words);
}

static void run(int number, char **words)
{
	int status, in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open_output(O_WRONLY | O_CREAT | O_TRUNC);
	pid_t pid = start(words, in, out, 0);

	(void)number;
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	close(in);
	close(out);
}

/* Calls `act` for each line of /commands. */
static void each(void (*act)(int number, char **words))
{
	char line[256], *words[16];
	FILE *commands = fopen("/commands", "re");
	int number, count;

	must(commands != NULL, "/commands");
	for (number = 0; fgets(line, sizeof(line), commands); number++) {
		words[0] = strtok(line, " \n");
		for (count = 1; count < 16 && words[count - 1]; count++)
			words[count] = strtok(NULL, " \n");
		must(words[0] && !words[count - 1], "a command");
		act(number, words);
	}
	fclose(commands);
}

static unsigned long long microseconds(void)
{
	struct timespec now;

	must(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "clock_gettime");
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

/* Prints each line of the output with the microseconds since the start. */
static void stamp(int number, char **words)
{
	char line[4096];
	int status, pipes[2], in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	unsigned long long from = microseconds();
	FILE *lines;

	must(pipe2(pipes, O_CLOEXEC) == 0, "pipe2");
	start(words, in, pipes[1], 0);
	close(pipes[1]);
	lines = fdopen(pipes[0], "r");
	must(lines != NULL, "fdopen");
	printf("== %d stamps\n", number);
	while (fgets(line, sizeof(line), lines))
		printf("%llu %s", microseconds() - from, line);
	wait(&status);
}

/* Starts a process with single pages that do not merge, all of them touched. */
static pid_t start_target(int pages)
{
	long page = sysconf(_SC_PAGESIZE);
	int i, ready[2];
	char byte;
	pid_t pid;

	must(pipe(ready) == 0, "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		char *start = mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		must(start != MAP_FAILED, "mmap");
		for (i = 0; i < pages; i++)
			start[i * page] = 1;
		for (i = 0; i < pages; i += 2)
			must(mprotect(start + i * page, page, PROT_READ) == 0, "mprotect");
		must(write(ready[1], "", 1) == 1, "write");
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1) == 1, "read");
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* Replaces @ in the words by a process id. The words are never freed. */
static void name_process(char **words, pid_t pid)
{
	for (; *words; words++) {
		char *mark = strchr(*words, '@');

		if (mark) {
			char *word = malloc(64);

			must(word != NULL, "malloc");
			snprintf(word, 64, "%.*s%d%s", (int)(mark - *words), *words, (int)pid, mark + 1);
			*words = word;
		}
	}
}

/* The process that the commands are about, and its number. */
static pid_t target;
static unsigned int target_number;

static void run_on_target(int number, char **words)
{
	name_process(words, target);
	run(number, words);
}

/* Prints the microseconds that a command takes, from fork(2) to wait(2). */
static void time_command(int number, char **words)
{
	int status, out = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned long long from;
	pid_t pid;

	must(out >= 0, "/dev/null");
	name_process(words, target);
	from = microseconds();
	pid = start(words, out, out, 0);
	must(waitpid(pid, &status, 0) == pid && status == 0, words[0]);
	printf("== %d time %u\n%llu\n", number, target_number, microseconds() - from);
	close(out);
}

static void show_cost(int number, char **words)
{
	show_memory(number, words);
	time_command(number, words);
}

static void time_all(void)
{
	/* The numbers of mappings, of which some belong to the program itself. */
	static const int pages[] = { 2, 992, 65520 };
	const unsigned int count = sizeof(pages) / sizeof(*pages);

	for (target_number = 0; target_number < count; target_number++) {
		target = start_target(pages[target_number]);
		/* The first run of an executable is slower, and is not measured. */
		if (target_number == 0)
			each(run_on_target);
		each(time_command);
		kill(target, SIGKILL);
	}
}

int main(int argc, char **argv)
{
	const char *task = argc > 1 ? argv[1] : "";

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	must(mount("dev", "/dev", "devtmpfs", 0, NULL) == 0, "mount /dev");
	must(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount /proc");
	if (strcmp(task, "measure") == 0)
		each(measure);
	else if (strcmp(task, "cost") == 0)
		each(show_cost);
	else if (strcmp(task, "run") == 0)
		each(run);
	else if (strcmp(task, "stamp") == 0)
		each(stamp);
	else if (strcmp(task, "time") == 0)
		time_all();
	printf("== meter done\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
}
