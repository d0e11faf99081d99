// Where a program begins on Android: zig has no start files for it. Bionic's __libc_init runs `main` with the arguments that
// the kernel left on the stack, and exits with its status.
namespace {
// Constructors and destructors of the program, of which it has none; bionic reads them by their place.
struct Structors {
  void (**of[6])();
};
const Structors kNone = {};
}  // namespace

extern "C" {
int edgeort_main(int argc, char** argv, char** environment) __asm__("main");
[[noreturn]] void __libc_init(void* stack, void (*at_exit)(), int (*body)(int, char**, char**), const Structors* structors);

[[noreturn, gnu::used]] void edgeort_start(void* stack) { __libc_init(stack, nullptr, edgeort_main, &kNone); }
}

__asm__(
    ".global _start\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, sp\n"
    "  b edgeort_start\n");
