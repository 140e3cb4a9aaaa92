/*
 * Gaps in /proc/PID/maps where memory was mapped all the time.
 *
 * Usage: holes READINGS. A child changes the protection of 64 pages in turn, which splits and merges
 * VMAs and never unmaps one. The parent reads the child's maps READINGS times, or until it has
 * found a gap between the first of these pages and the last:
 *
 *     ffff8d9b1000-ffff8d9b2000 r--p 00000000 00:00 0
 *     ffff8d9b5000-ffff8d9b6000 r--p 00000000 00:00 0
 *     readings 4711, overlaps 12, gaps 1
 *
 * An overlap, a VMA that is seen again in another form, is no fault since Linux reads the file
 * under the locks of single VMAs. It needs two processors.
 *
 * Status: 0 no gap, 1 a gap, 2 this program failed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGES 64

static long page;
static char *start;

static void change_for_ever(void)
{
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (i = 0; i < PAGES; i++)
			mprotect(start + i * page, page, PROT_READ);
		for (i = 0; i < PAGES; i++)
			mprotect(start + i * page, page, PROT_READ | PROT_WRITE);
	}
}

/* Reads the whole file. Returns 0 on failure. */
static size_t read_maps(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t count;

	if (file < 0)
		return 0;
	while ((count = read(file, text + length, size - 1 - length)) > 0)
		length += count;
	close(file);
	text[length] = '\0';
	return count < 0 ? 0 : length;
}

/* Counts overlaps and gaps, and prints the lines before and after a gap. */
static void judge(char *text, int *overlaps, int *gaps)
{
	unsigned long first, end, expected = (unsigned long)start;
	unsigned long last = expected + PAGES * page;
	char *line, *before = "", *rest = text;

	while ((line = strtok_r(rest, "\n", &rest))) {
		if (sscanf(line, "%lx-%lx ", &first, &end) != 2)
			exit(2);
		if (end <= (unsigned long)start)
			continue;
		if (expected < last && first > expected) {
			printf("%s\n%s\n", before, line);
			++*gaps;
		}
		*overlaps += first < expected && expected > (unsigned long)start && first < last;
		if (end > expected)
			expected = end;
		before = line;
	}
	if (expected < last)
		++*gaps;
}

int main(int argc, char **argv)
{
	static char text[1 << 16];
	int wanted = argc > 1 ? atoi(argv[1]) : 1000, readings = 0, overlaps = 0, gaps = 0;
	char path[64];
	pid_t pid;

	page = sysconf(_SC_PAGESIZE);
	/* Pages without access on both sides keep the neighbours away. */
	start = mmap(NULL, (PAGES + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return 2;
	start += page;
	mprotect(start, PAGES * page, PROT_READ | PROT_WRITE);
	pid = fork();
	if (pid == 0)
		change_for_ever();
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	while (readings < wanted && gaps == 0) {
		if (read_maps(path, text, sizeof(text)) == 0)
			return 2;
		readings++;
		judge(text, &overlaps, &gaps);
	}
	kill(pid, SIGKILL);
	printf("readings %d, overlaps %d, gaps %d\n", readings, overlaps, gaps);
	return gaps > 0;
}
