/*
 * Reads files to their ends and does nothing with what they hold: the cost of `maps` and
 * `names` is compared with this.
 */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buffer[4096];
	int i;

	for (i = 1; i < argc; i++) {
		int file = open(argv[i], O_RDONLY | O_CLOEXEC);
		ssize_t count;

		while ((count = read(file, buffer, sizeof(buffer))) > 0)
			;
		if (count < 0)
			return 1;
	}
	return 0;
}
