/* Selection of one mutant among those compiled into this kernel. */
#ifndef VM_MUTANT_H
#define VM_MUTANT_H

extern int vm_mutant;
extern unsigned char vm_mutant_reached[];

/* Whether the boot parameter vm_mutant= names this mutant; notes that the place ran. */
static inline __attribute__((always_inline)) int vm_mutant_is(int number)
{
	vm_mutant_reached[number] = 1;
	return vm_mutant == number;
}

#endif
