/*
 * What pmap prints for a page whose name has a slash, and for a zombie.
 *
 * Usage: pmap PMAP [OPTION]..., such as `pmap pmap -x` or `pmap toybox pmap`. Prints the line of
 * /proc/PID/maps for the page and pmap's line for it, then pmap's output for the zombie and
 * its status:
 *
 *     maps: [anon:/secret/mem/area]
 *     pmap: area]
 *     zombie: total 0K
 *     status 0
 *
 * Status: 0 pmap prints the whole name and reports the zombie, 1 it does not, 2 this program
 * failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#define LABEL "[anon:/secret/mem/area]"

static char command[1024];

/* Prints the lines of a stream that contain `text`: the last word of a line with a label, all words of
 * others. Returns whether one of them contains `expected`. */
static int print_lines(FILE *lines, const char *head, const char *text, const char *expected)
{
	char line[1024];
	int found = 0;

	while (lines && fgets(line, sizeof(line), lines)) {
		char *word, *rest = line, *last = NULL;

		if (!strstr(line, text))
			continue;
		found |= strstr(line, expected) != NULL;
		printf("%s:", head);
		if (strchr(line, ']')) {
			while ((word = strtok_r(rest, " \n", &rest)))
				last = word;
			printf(" %s\n", last ? last : "");
		} else {
			while ((word = strtok_r(rest, " \n", &rest)))
				printf(" %s", word);
			printf("\n");
		}
	}
	return found;
}

static FILE *run_pmap(pid_t pid)
{
	char line[1100];

	snprintf(line, sizeof(line), "%s %d 2>&1", command, (int)pid);
	fflush(stdout);
	return popen(line, "r");
}

static int shows_name(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	FILE *pmap;
	int found;

	if (!maps || !print_lines(maps, "maps", "area", LABEL))
		exit(2);
	fclose(maps);
	pmap = run_pmap(getpid());
	found = print_lines(pmap, "pmap", "area", LABEL);
	return pclose(pmap) == 0 && found;
}

static int reports_zombie(void)
{
	siginfo_t info;
	FILE *pmap;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	/* It has ended, and stays a zombie. */
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	pmap = run_pmap(pid);
	print_lines(pmap, "zombie", "total", "");
	status = pclose(pmap);
	printf("status %d\n", WEXITSTATUS(status));
	waitpid(pid, NULL, 0);
	return status != 0;
}

int main(int argc, char **argv)
{
	long page = sysconf(_SC_PAGESIZE);
	char *start = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i, is_right;

	for (i = 1; i < argc; i++) {
		strncat(command, argv[i], sizeof(command) - strlen(command) - 2);
		strcat(command, " ");
	}
	if (argc < 2 || start == MAP_FAILED ||
	    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, page, "/secret/mem/area")) {
		perror("pmap, mmap, prctl");
		return 2;
	}
	is_right = shows_name();
	return !(reports_zombie() && is_right);
}
