/* As much of a phone's libSystem as one thread of the runtime calls, for objects that run without one. Compiled with -fno-builtin. */
typedef unsigned long size_t;
typedef unsigned char u8;

static u8 memory[8 << 20] __attribute__((aligned(64)));
static size_t used;

/* Zeroed, 64-byte aligned; nothing is given back. */
static void* take(size_t size) {
  void* at = memory + used;
  used += (size + 63) & ~(size_t)63;
  return used <= sizeof(memory) ? at : 0;
}

void* malloc(size_t size) { return take(size); }
void* mmap(void* at, size_t size) { return (void)at, take(size); }
void free(void* data) { (void)data; }
int munmap(void* data) { return (void)data, 0; }

void* memcpy(void* to, const void* from, size_t n) {
  for (size_t i = 0; i < n; ++i) ((u8*)to)[i] = ((const u8*)from)[i];
  return to;
}
void* memmove(void* to, const void* from, size_t n) {
  if (to <= from) return memcpy(to, from, n);
  while (n-- > 0) ((u8*)to)[n] = ((const u8*)from)[n];
  return to;
}
void* memset(void* to, int value, size_t n) {
  for (size_t i = 0; i < n; ++i) ((u8*)to)[i] = (u8)value;
  return to;
}
void bzero(void* to, size_t n) { memset(to, 0, n); }
void memset_pattern16(void* to, const void* pattern, size_t n) {
  for (size_t i = 0; i < n; ++i) ((u8*)to)[i] = ((const u8*)pattern)[i % 16];
}
int memcmp(const void* a, const void* b, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (((const u8*)a)[i] != ((const u8*)b)[i]) return ((const u8*)a)[i] - ((const u8*)b)[i];
  }
  return 0;
}
size_t strlen(const char* text) {
  size_t n = 0;
  while (text[n]) ++n;
  return n;
}
int strcmp(const char* a, const char* b) { return memcmp(a, b, strlen(a) + 1); }

/* The format itself, which says in a test what went wrong. */
int vsnprintf(char* out, size_t size, const char* format) {
  const size_t n = strlen(format) < size ? strlen(format) : size - 1;
  memcpy(out, format, n);
  out[n] = 0;
  return (int)n;
}

int clock_gettime(int clock, long* time) { return (void)clock, time[0] = time[1] = 0, 0; }
long sysconf(int name) { return (void)name, 1; }
int sysctlbyname(void) { return -1; }

/* Never called with one thread and a plan in memory. */
#define NONE(name) \
  void name(void) { __builtin_trap(); }
NONE(open)
NONE(close)
NONE(lseek)
NONE(getrusage)
NONE(pthread_create)
NONE(pthread_join)
NONE(pthread_mutex_lock)
NONE(pthread_mutex_unlock)
NONE(pthread_cond_wait)
NONE(pthread_cond_broadcast)
