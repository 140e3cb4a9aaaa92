/*
 * The four stages of vm_anon_name in C++ with iostream, for comparison.
 *
 * It does what peer.c does. The program that vm_anon_name replaces used this language
 * and this library.
 */
#include <cstdint>
#include <cstdio>
#include <iostream>

#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

// The anonymous memory that the mapping joins.
constexpr std::size_t neighbour_pages = 6;
constexpr char name[] = "/secret/mem/area";

class Stages {
public:
	Stages(pid_t pid, bool pauses) : pid(pid), pauses(pauses) {}

	void end(const char *next, const char *file) const
	{
		std::cout << "\nPress enter to " << next << " - cat /proc/" << pid
			  << "/maps > " << file;
		if (!pauses) {
			std::cout << '\n';
			return;
		}
		std::cout.flush();
		char byte;
		while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') {
		}
	}

private:
	pid_t pid;
	bool pauses;
};

char *map(char *hint, std::size_t size)
{
	void *region = mmap(hint, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return region == MAP_FAILED ? nullptr : static_cast<char *>(region);
}

int fail(const char *call)
{
	perror(call);
	return 1;
}

} // namespace

int main(int argc, char **)
{
	const std::size_t page = getauxval(AT_PAGESZ);
	const pid_t pid = getpid();
	const Stages stages(pid, argc == 1);
	std::cout << "Memory map a region and print vm_area_struct\nPID: " << pid << '\n';

	char *neighbour = map(nullptr, neighbour_pages * page);
	if (!neighbour)
		return fail("mmap");
	stages.end("mmap", "maps_1_start.txt");

	char *region = map(neighbour - page, page);
	if (!region)
		return fail("mmap");
	std::cout << "\nmmap addr: " << static_cast<void *>(region) << " size: " << page << '\n';
	stages.end("set vm_area_struct's name", "maps_2_mmap.txt");

	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, reinterpret_cast<std::uintptr_t>(region),
		  page, reinterpret_cast<std::uintptr_t>(name)))
		return fail("prctl");
	std::cout << "\nSet [" << static_cast<void *>(region) << ", "
		  << static_cast<void *>(region + page) << "] = " << name << '\n';
	stages.end("unmmap the region", "maps_3_set_vm_name.txt");

	if (munmap(region, page))
		return fail("munmap");
	stages.end("exit", "maps_4_ummap.txt");
}
