/* A plugin for QEMU's user-mode emulator: counts executed instructions of an AArch64 program, and models its data caches.
 *
 *   qemu-aarch64 -plugin ./libcounter.so,out=FILE,l1_kib=32,l1_ways=2,l2_kib=1024,l2_ways=16 program
 *
 * At exit FILE gets one JSON object. Two levels of write-back, write-allocate caches with least-recently-used replacement
 * and lines of 64 bytes. A level-1 miss looks in level 2; a level-2 miss is a fill from memory, the eviction of a dirty
 * line there a write-back. No prefetcher, no streaming stores, no instruction fetches, no system calls' accesses. The
 * program must run on one thread: the caches are one core's. With marks=FILE, every time that the program reads a clock
 * appends a line there: the same seven numbers, so far, and where the time goes to, which tells callers apart.
 *
 * QEMU does not install its plugin header everywhere; what is used of interface version 1 (QEMU 4.2 to 8) is declared here.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_fn)(uint64_t id, struct qemu_plugin_tb* block);
typedef void (*memory_fn)(unsigned cpu, uint32_t info, uint64_t address, void* user);
typedef void (*exit_fn)(uint64_t id, void* user);
typedef void (*syscall_fn)(uint64_t id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t);
enum { kClockGettime = 113 }; /* of AArch64's Linux */
enum { kAddU64 = 0 };         /* enum qemu_plugin_op */
enum { kNoRegisters = 0 };    /* enum qemu_plugin_cb_flags */
enum { kReadsAndWrites = 3 }; /* enum qemu_plugin_mem_rw */

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated_fn fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* block, int op, void* counter, uint64_t amount);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn* insn, memory_fn fn, int flags, int rw, void* user);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, syscall_fn fn);
void qemu_plugin_register_atexit_cb(uint64_t id, exit_fn fn, void* user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* insn);
unsigned qemu_plugin_mem_size_shift(uint32_t info);
bool qemu_plugin_mem_is_store(uint32_t info);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define LINE_SHIFT 6

/* Tags of a set stand in the order of use, the latest first. A tag is line << 1 | dirty; 0 is empty (no program maps page 0). */
struct cache {
  uint64_t* tags;
  uint64_t set_mask;
  unsigned ways;
  uint64_t misses;
};

static struct cache l1, l2;
static uint64_t instructions, multiply_adds, loads, stores, fills, write_backs;
static const char* out_path;
static FILE* marks;

/* Finds `line` and makes it the latest; on a miss it replaces the oldest, which is returned (0: none, or it was there). */
static uint64_t touch(struct cache* c, uint64_t line, uint64_t dirty, bool* hit) {
  uint64_t* set = c->tags + (line & c->set_mask) * c->ways;
  unsigned at = 0;
  while (at < c->ways - 1 && set[at] >> 1 != line) ++at;
  *hit = set[at] >> 1 == line;
  const uint64_t old = set[at];
  memmove(set + 1, set, at * sizeof(*set));
  set[0] = line << 1 | dirty | (*hit ? old & 1 : 0);
  return *hit ? 0 : old;
}

static void level2(uint64_t line, uint64_t dirty) {
  bool hit;
  const uint64_t victim = touch(&l2, line, dirty, &hit);
  write_backs += victim & 1;
  l2.misses += !hit;
  fills += !hit && !dirty; /* what level 1 writes back is a whole line: nothing to fetch */
}

static void level1(uint64_t line, uint64_t dirty) {
  bool hit;
  uint64_t* latest = l1.tags + (line & l1.set_mask) * l1.ways;
  if (*latest >> 1 == line) {
    *latest |= dirty;
    return;
  }
  const uint64_t victim = touch(&l1, line, dirty, &hit);
  if (hit) return;
  ++l1.misses;
  level2(line, 0);
  if (victim & 1) level2(victim >> 1, 1);
}

static void access_memory(unsigned cpu, uint32_t info, uint64_t address, void* user) {
  (void)cpu, (void)user;
  const bool is_store = qemu_plugin_mem_is_store(info);
  const uint64_t first = address >> LINE_SHIFT;
  const uint64_t last = (address + ((uint64_t)1 << qemu_plugin_mem_size_shift(info)) - 1) >> LINE_SHIFT;
  loads += !is_store;
  stores += is_store;
  level1(first, is_store);
  if (last != first) level1(last, is_store);
}

/* Vector FMLA and FMLS, by vector and by element (Arm ARM, C4.1: "Advanced SIMD three same", "vector x indexed element"). */
static bool is_multiply_add(uint32_t code) { return (code & 0xbf20fc00) == 0x0e20cc00 || (code & 0xbf80b400) == 0x0f801000; }

static void translated(uint64_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const size_t n = qemu_plugin_tb_n_insns(block);
  uint64_t adds = 0;
  for (size_t i = 0; i < n; ++i) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(block, i);
    uint32_t code;
    memcpy(&code, qemu_plugin_insn_data(insn), sizeof(code));
    adds += is_multiply_add(code);
    /* One callback for both: QEMU 7.2 calls those asked for reads only, or for writes only, at the wrong ones. */
    qemu_plugin_register_vcpu_mem_cb(insn, access_memory, kNoRegisters, kReadsAndWrites, NULL);
  }
  /* A block runs to its end: user-mode programs take no interrupts inside one. */
  qemu_plugin_register_vcpu_tb_exec_inline(block, kAddU64, &instructions, n);
  if (adds) qemu_plugin_register_vcpu_tb_exec_inline(block, kAddU64, &multiply_adds, adds);
}

static void syscalled(uint64_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                      uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)a, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number != kClockGettime) return;
  const uint64_t values[] = {instructions, multiply_adds, loads, stores, l1.misses, fills, write_backs};
  for (size_t i = 0; i < sizeof(values) / sizeof(*values); ++i) fprintf(marks, "%llu ", (unsigned long long)values[i]);
  fprintf(marks, "%llu\n", (unsigned long long)b);
}

static void at_exit(uint64_t id, void* user) {
  (void)id, (void)user;
  if (marks) fclose(marks);
  FILE* file = fopen(out_path, "w");
  if (!file) return;
  const uint64_t values[] = {instructions, multiply_adds, loads, stores, l1.misses, fills, write_backs};
  static const char* const names[] = {"instructions", "multiply_adds", "loads", "stores", "l1_misses", "fills", "write_backs"};
  for (size_t i = 0; i < sizeof(values) / sizeof(*values); ++i) {
    fprintf(file, "%s\"%s\": %llu", i ? ", " : "{", names[i], (unsigned long long)values[i]);
  }
  fprintf(file, "}\n");
  fclose(file);
}

static bool make_cache(struct cache* c, unsigned long kib, unsigned long ways) {
  const unsigned long sets = ways ? (kib << 10 >> LINE_SHIFT) / ways : 0;
  if (!sets || (sets & (sets - 1))) return false;
  *c = (struct cache){calloc(sets * ways, sizeof(*c->tags)), sets - 1, (unsigned)ways, 0};
  return c->tags != NULL;
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void* info, int argc, char** argv) {
  (void)info;
  unsigned long sizes[4] = {32, 2, 1024, 16};
  static const char* const names[] = {"l1_kib=", "l1_ways=", "l2_kib=", "l2_ways="};
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "out=", 4) == 0) out_path = strdup(argv[i] + 4);
    if (strncmp(argv[i], "marks=", 6) == 0 && !(marks = fopen(argv[i] + 6, "w"))) return 1;
    for (int k = 0; k < 4; ++k) {
      if (strncmp(argv[i], names[k], strlen(names[k])) == 0) sizes[k] = strtoul(argv[i] + strlen(names[k]), NULL, 10);
    }
  }
  if (!out_path || !make_cache(&l1, sizes[0], sizes[1]) || !make_cache(&l2, sizes[2], sizes[3])) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  if (marks) qemu_plugin_register_vcpu_syscall_cb(id, syscalled);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}
