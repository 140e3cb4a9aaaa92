/*
 * A guard page that loses its flag when naming merges its VMA with another.
 *
 * Before and after naming, prints whether VmFlags in /proc/self/smaps has the flag `gu`, and
 * whether a child forked at that time can read the page:
 *
 *     before: gu, the child is killed
 *     after: no gu, the child reads
 *
 * Status: 0 the guard page keeps the flag, 1 it does not, 2 the set-up failed, 4 the kernel has
 * no guard pages.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MADV_GUARD_INSTALL 102
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0

static int has_mark(const void *address)
{
	char line[512];
	unsigned long start, end;
	int inside = 0, found = 0;
	FILE *smaps = fopen("/proc/self/smaps", "re");

	if (!smaps)
		return -1;
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (unsigned long)address && (unsigned long)address < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " gu") != NULL;
	}
	fclose(smaps);
	return found;
}

static int child_can_read(const volatile char *address)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)*address;
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}

static int report(const char *when, const char *page)
{
	int mark = has_mark(page), can_read = child_can_read(page);

	printf("%s: %s, the child %s\n", when, mark ? "gu" : "no gu",
	       can_read ? "reads" : "is killed");
	return mark && !can_read;
}

int main(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *start = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED || prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, 2 * page, "a")) {
		perror("mmap, prctl");
		return 2;
	}
	if (madvise(start, page, MADV_GUARD_INSTALL)) {
		printf("no guard pages: %s\n", strerror(errno));
		return 4;
	}
	if (!report("before", start))
		return 2;
	/* The same name merges both VMAs. */
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start + 2 * page, 2 * page, "a")) {
		perror("prctl");
		return 2;
	}
	return !report("after", start);
}
