/*
 * Names private memory of a file that was unlinked before it was mapped, in the working directory,
 * as tools/testing/selftests/prctl/set-anon-vma-name-test.c of Linux 7.3 does:
 *
 *     unlinked file: Success
 *     /proc/self/exe: Bad file descriptor
 *
 * Status: 0 the kernel refuses to name the unlinked file, as that test expects, 1 it does not,
 * 2 this program failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0

/* Returns whether the kernel refuses to name a mapping of the file. */
static int refuses(const char *title, int file)
{
	long page = sysconf(_SC_PAGESIZE);
	char *start = mmap(NULL, page, PROT_READ, MAP_PRIVATE, file, 0);

	if (start == MAP_FAILED) {
		perror(title);
		exit(2);
	}
	errno = 0;
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, page, "goodname");
	printf("%s: %s\n", title, strerror(errno));
	return errno == EBADF;
}

int main(void)
{
	char path[] = "unlinked.XXXXXX";
	int file = mkstemp(path), executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int is_refused;

	if (file < 0 || executable < 0 || unlink(path) || ftruncate(file, sysconf(_SC_PAGESIZE))) {
		perror("mkstemp, open, unlink, ftruncate");
		return 2;
	}
	is_refused = refuses("unlinked file", file);
	if (!refuses("/proc/self/exe", executable))
		return 2;
	return !is_refused;
}
