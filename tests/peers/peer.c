/*
 * The four stages of vm_anon_name in C, for comparison.
 *
 * One source for glibc, musl and the kernel's nolibc. It has no options, no diff
 * and no diagnosis, so that their cost is not counted against it. Each prompt
 * waits for Enter, unless there is an argument. Input is read with read(2), because
 * stdio's input would make each build larger.
 */
#ifndef NOLIBC
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#endif

/* musl has these since 1.2.4. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* nolibc has no buffers. */
#ifdef NOLIBC
#define flush()
#else
#define flush() fflush(stdout)
#endif

/* The anonymous memory that the mapping joins. */
enum { NEIGHBOUR_PAGES = 6 };

static const char name[] = "/secret/mem/area";
static int pid, pauses;

static void prompt(const char *next, const char *file)
{
	char byte;

	printf("\nPress enter to %s - cat /proc/%d/maps > %s", next, pid, file);
	if (!pauses) {
		printf("\n");
		return;
	}
	flush();
	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
}

static char *map(char *hint, unsigned long size)
{
	return mmap(hint, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int fail(const char *call)
{
	perror(call);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long page = getauxval(AT_PAGESZ);
	char *neighbour, *region;

	(void)argv;
	pauses = argc == 1;
	pid = getpid();
	printf("Memory map a region and print vm_area_struct\nPID: %d\n", pid);

	neighbour = map(0, NEIGHBOUR_PAGES * page);
	if (neighbour == MAP_FAILED)
		return fail("mmap");
	prompt("mmap", "maps_1_start.txt");

	region = map(neighbour - page, page);
	if (region == MAP_FAILED)
		return fail("mmap");
	printf("\nmmap addr: 0x%lx size: %lu\n", (unsigned long)region, page);
	prompt("set vm_area_struct's name", "maps_2_mmap.txt");

	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)region, page,
		  (unsigned long)name))
		return fail("prctl");
	printf("\nSet [0x%lx, 0x%lx] = %s\n", (unsigned long)region,
	       (unsigned long)region + page, name);
	prompt("unmmap the region", "maps_3_set_vm_name.txt");

	if (munmap(region, page))
		return fail("munmap");
	prompt("exit", "maps_4_ummap.txt");
	return 0;
}
