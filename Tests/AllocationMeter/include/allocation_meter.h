// Counts what a process allocates, for the fuzz harness alone.
//
// On Linux the allocator's functions are interposed: every block of malloc and its relatives counts with its usable size, from
// whatever thread and library. Under the address sanitizer, whose allocator must stay, its hooks count the sizes asked for.
// Elsewhere nothing is counted. Stacks and mapped files are not allocations.

#ifndef ALLOCATION_METER_H
#define ALLOCATION_METER_H

#include <stddef.h>

// 1 where allocations are counted. Call once before anything else.
int allocation_meter_start(void);

// Bytes allocated at the moment.
size_t allocation_meter_current(void);

// Forgets the peak: it begins again at the present amount, which is returned.
size_t allocation_meter_reset(void);

// The most bytes that were allocated at once since the last reset.
size_t allocation_meter_peak(void);

// 1 when built with the address sanitizer.
int allocation_meter_is_sanitized(void);

#endif
