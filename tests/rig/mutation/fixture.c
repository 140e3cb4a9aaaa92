/* Areas with names: a program to try the generator of mutants on. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define EINVAL 22
#define ENOMEM 12
#define LIMIT 4
#define FORBIDDEN "$["
#define WARN_ON(condition) (condition)

struct area {
	unsigned long start, end;
	const char *anon_name;
};

struct state {
	const char *anon_name;
	unsigned long start;
};

static struct area areas[2] = { { 0, 4, NULL }, { 8, 12, NULL } };

static const char *anon_name(struct area *area)
{
	return area->anon_name;
}

#define STATE(name, area_) \
	struct state name = { \
		.anon_name = anon_name(area_), \
		.start = (area_)->start, \
	}

static bool is_valid(char ch)
{
	return ch > 0x1f && !strchr(FORBIDDEN, ch);
}

static int check_range(unsigned long start, unsigned long end)
{
	static const int unused = 3;

	if (end < start || end - start > LIMIT)
		return -EINVAL;
	/* An empty range is no error. */
	if (WARN_ON(end == start))
		return 0;
	switch (unused) {
	case 3:
		break;
	default:
		return -ENOMEM;
	}
	return 1;
}

static struct area *find(unsigned long start)
{
	struct area *area = areas;

	if (start >= area->end)
		area++;
	else
		goto out;
	if (start >= area->end)
		return NULL;
out:
	return area;
}

static int set(const char *text, unsigned long start, unsigned long end)
{
	struct area *area = find(start);
	int count = 0;

	for (const char *c = text; *c != '\0' && count < 100; c++, count++)
		if (!is_valid(*c))
			return -EINVAL;
	if (!area)
		return -ENOMEM;
	if (start != area->start || end != area->end) {
		count = 0;
		return count;
	}
	area->anon_name = text;
	return count;
}

static void show(struct area *area)
{
	STATE(state, area);

	printf("%lu %lu ", area->start, area->end);
	if (!area->anon_name)
		puts("nothing");
	else
		puts(state.anon_name ?: area->anon_name ? "lost" : "");
}

int main(void)
{
	unsigned long start, end;

	for (start = 0; start < 16; start += 2) {
		for (end = 0; end < 16; end += 2)
			printf("%d %d\n", check_range(start, end), set("plain", start, end));
		show(&areas[0]);
		show(&areas[1]);
	}
	printf("%d %d %d\n", set("[", 0, 4), set("$", 0, 4), set("\t", 0, 4));
	return 0;
}
