/*
 * A process with threads and memory of malloc(3), whose libc names all of it: glibc 2.41 and later
 * with glibc.mem.decorate_maps=1 in GLIBC_TUNABLES.
 *
 * Prints `ready` when three threads have allocated memory in arenas of their own, and waits.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 3

/* More than one of malloc's own mappings, and less than it maps by itself. */
#define BLOCK 100000

static pthread_barrier_t all_allocated;

static void *allocate(void *unused)
{
	char *block = malloc(BLOCK);

	(void)unused;
	if (!block)
		abort();
	memset(block, 1, BLOCK);
	pthread_barrier_wait(&all_allocated);
	for (;;)
		pause();
	return block;
}

int main(void)
{
	/* Memory that malloc maps by itself, with a name of its own. */
	char *mapped = malloc(1 << 20);
	pthread_t thread;
	int i;

	if (!mapped || pthread_barrier_init(&all_allocated, NULL, THREADS + 1))
		return 1;
	memset(mapped, 1, 1 << 20);
	for (i = 0; i < THREADS; i++) {
		if (pthread_create(&thread, NULL, allocate, NULL))
			return 1;
	}
	pthread_barrier_wait(&all_allocated);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
