#include "allocation_meter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define METER_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define METER_SANITIZED 1
#endif

static _Atomic intptr_t current_bytes = 0;
static _Atomic intptr_t peak_bytes = 0;

#if defined(METER_SANITIZED) || (defined(__linux__) && defined(__GLIBC__))
static void note(intptr_t change) {
  intptr_t now = atomic_fetch_add_explicit(&current_bytes, change, memory_order_relaxed) + change;
  if (change <= 0) return;
  intptr_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
  while (now > peak &&
         !atomic_compare_exchange_weak_explicit(&peak_bytes, &peak, now, memory_order_relaxed, memory_order_relaxed)) {
  }
}
#endif

size_t allocation_meter_current(void) {
  intptr_t now = atomic_load(&current_bytes);
  return now > 0 ? (size_t)now : 0;
}

size_t allocation_meter_reset(void) {
  atomic_store(&peak_bytes, atomic_load(&current_bytes));
  return allocation_meter_current();
}

size_t allocation_meter_peak(void) {
  intptr_t peak = atomic_load(&peak_bytes);
  return peak > 0 ? (size_t)peak : 0;
}

#if defined(METER_SANITIZED)

int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t), void (*)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *);

static void allocated(const volatile void *block, size_t size) {
  (void)block;
  note((intptr_t)size);
}

static void freed(const volatile void *block) {
  if (block) note(-(intptr_t)__sanitizer_get_allocated_size(block));
}

int allocation_meter_start(void) { return __sanitizer_install_malloc_and_free_hooks(allocated, freed) > 0; }
int allocation_meter_is_sanitized(void) { return 1; }

#elif defined(__linux__) && defined(__GLIBC__)

#include <malloc.h>

// glibc's own functions under their second names, which stay reachable when the first are replaced.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

// A block above this fails, so that an absurd request ends in a crash that is reported, not in a machine without memory.
static const size_t largest_block = (size_t)4 << 30;

static void *counted(void *block) {
  if (block) note((intptr_t)malloc_usable_size(block));
  return block;
}

static int refused(size_t size) {
  if (size <= largest_block) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t size) { return refused(size) ? NULL : counted(__libc_malloc(size)); }

void *calloc(size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total) || refused(total)) return NULL;
  return counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size) {
  if (refused(size)) return NULL;
  intptr_t before = block ? (intptr_t)malloc_usable_size(block) : 0;
  void *moved = __libc_realloc(block, size);
  if (moved) {
    // Both blocks exist while the content moves.
    note((intptr_t)malloc_usable_size(moved));
    note(-before);
  } else if (size == 0) {
    note(-before);
  }
  return moved;
}

void *memalign(size_t alignment, size_t size) { return refused(size) ? NULL : counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  void *made = memalign(alignment, size);
  if (!made) return ENOMEM;
  *block = made;
  return 0;
}

void free(void *block) {
  if (block) note(-(intptr_t)malloc_usable_size(block));
  __libc_free(block);
}

int allocation_meter_start(void) { return 1; }
int allocation_meter_is_sanitized(void) { return 0; }

#else

int allocation_meter_start(void) { return 0; }
int allocation_meter_is_sanitized(void) { return 0; }

#endif
