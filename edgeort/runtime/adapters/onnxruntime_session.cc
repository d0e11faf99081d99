// ONNX Runtime through its C API, with the execution providers that provider.conf names:
//
//   provider = TensorrtExecutionProvider, CUDAExecutionProvider   in this order; without the line its CPU kernels run the model
//   CUDAExecutionProvider.use_tf32 = 0                            an option of that provider
//   session.KEY, ep.KEY, ... = VALUE                              an entry of the session's configuration, as ONNX Runtime names it
//   library = libonnxruntime.so.1.31.1
//
// Nodes that no named provider takes are an error (session.disable_cpu_ep_fallback), unless that entry is set to 0.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime.h"
#include "onnxruntime_cache.h"

#if defined(_WIN32)
#include <windows.h>
#endif

namespace edgeort {

using namespace ort;

// Whether `status` is success; else its message is the error.
bool ok(Adapted* model, Status* status, const char* what) {
  if (!status) return true;
  const Engine* e = model->engine;
  const char* why = e->api.get_error_message(status);
  size_t length = strlen(why);
  while (length && (why[length - 1] == '\n' || why[length - 1] == ' ')) --length;
  model->fail("ONNX Runtime %s: %s: %.*s", e->version, what, static_cast<int>(length), why);
  e->api.release_status(status);
  return false;
}

namespace {

constexpr int kFatal = 4;  // severity of its log: what goes wrong comes back as a status
constexpr char kNoTelemetry[] = "ORT_DISABLE_TELEMETRY";
constexpr char kNoFallback[] = "session.disable_cpu_ep_fallback";
constexpr char kRecordPlacement[] = "session.record_ep_graph_assignment_info";

// Its telemetry starts when the library is loaded and looks at this variable then.
void forbid_telemetry() {
#if defined(_WIN32)
  _putenv_s(kNoTelemetry, "1");
#else
  setenv(kNoTelemetry, "1", 1);
#endif
}

template <class Table, size_t n>
void take_slots(Table* table, const int (&slots)[n], const void* const* api) {
  for (size_t i = 0; i < n; ++i) memcpy(reinterpret_cast<char*>(table) + i * sizeof(void*), &api[slots[i]], sizeof(void*));
}

bool bind(Adapted* model, const char* library_name) {
  Engine* e = model->engine;
  const char* const names[] = {library_name,      "libonnxruntime.so.1",  "libonnxruntime.so",
                               "onnxruntime.dll", "libonnxruntime.dylib", nullptr};
  forbid_telemetry();
  void* library = load_library(names);
  if (!library)
    return model->fail(
        "ONNX Runtime's library (%s) is not found: install what requirements.txt names, and set EDGEORT_LIBRARIES to the folder "
        "onnxruntime/capi of the package",
        library_name);
  const auto get_base = reinterpret_cast<const ApiBase* (*)()>(find_symbol(library, "OrtGetApiBase"));
  if (!get_base) return model->fail("%s is not ONNX Runtime: it has no OrtGetApiBase", library_name);
  e->version = get_base()->get_version();
  const int minor = strncmp(e->version, "1.", 2) == 0 ? atoi(e->version + 2) : 0;
  const bool known = minor >= static_cast<int>(kApiVersion);
  const void* const* api = known ? get_base()->get_api(kApiVersion) : nullptr;
  if (!api) return model->fail("this is ONNX Runtime %s; 1.%u or newer is needed", e->version, kApiVersion);
  take_slots(&e->api, kSlots, api);
  if (minor < static_cast<int>(kPlacementApiVersion)) return true;
  api = get_base()->get_api(kPlacementApiVersion);
  if ((e->has_placement = api != nullptr)) take_slots(&e->placement, kPlacementSlots, api);
  return true;
}

// The options of a provider: the settings that begin with its name and a dot, with their places filled in.
struct Options {
  const char *keys[kMaxSettings], *values[kMaxSettings];
  size_t count;
  char* text;  // what values with places point into

  ~Options() { free(text); }
  bool read(Adapted* model, const char* provider, const Settings& settings);
};

bool Options::read(Adapted* model, const char* provider, const Settings& settings) {
  constexpr size_t kBytes = 1 << 16;
  const size_t length = strlen(provider);
  size_t used = 0;
  int device = 0;
  if (!(text = static_cast<char*>(malloc(kBytes)))) return model->fail("out of memory");
  for (int i = 0; i < settings.count; ++i) {
    const char* key = settings.pairs[i].key;
    if (strncmp(key, provider, length) != 0 || key[length] != '.') continue;
    if (strcmp(key + length, ".device_id") == 0) device = atoi(settings.pairs[i].value);
    keys[count] = key + length + 1;
    values[count++] = settings.pairs[i].value;
  }
  for (size_t i = 0; i < count; ++i) {
    char error[EDGEORT_ERROR_BYTES];
    char* filled = text + used;
    if (!fill_places(values[i], device, model->engine->version, filled, kBytes - used, error, sizeof(error)))
      return model->fail("%s.%s: %s", provider, keys[i], error);
    values[i] = filled;
    used += strlen(filled) + 1;
  }
  return true;
}

bool append_provider(Adapted* model, const char* name, const Settings& settings) {
  const Engine* e = model->engine;
  const Api& api = e->api;
  const bool cuda = strcmp(name, "CUDAExecutionProvider") == 0, tensorrt = strcmp(name, "TensorrtExecutionProvider") == 0;
  const bool directml = strcmp(name, "DmlExecutionProvider") == 0;
  Options options = {};
  if (!options.read(model, name, settings)) return false;
  if (directml && !ok(model, api.disable_mem_pattern(e->options), name)) return false;
  if (!cuda && !tensorrt)
    return ok(model, api.append(e->options, directml ? "DML" : name, options.keys, options.values, options.count), name);
  ProviderOptions* own = nullptr;
  if (!ok(model, cuda ? api.create_cuda_options(&own) : api.create_tensorrt_options(&own), name)) return false;
  const auto update = cuda ? api.update_cuda_options : api.update_tensorrt_options;
  bool good = ok(model, update(own, options.keys, options.values, options.count), name);
  good = good && ok(model, cuda ? api.append_cuda(e->options, own) : api.append_tensorrt(e->options, own), name);
  cuda ? api.release_cuda_options(own) : api.release_tensorrt_options(own);
  return good;
}

// The names of a list with commas, cut out of `text`.
int split(char* text, char** names) {
  int count = 0;
  for (char* at = text; *at;) {
    while (*at == ' ' || *at == ',') *at++ = 0;
    if (!*at || count == kMaxProviders) break;
    names[count++] = at;
    while (*at && *at != ' ' && *at != ',') ++at;
  }
  return count;
}

bool is_option(const char* key, char* const* providers, int n_providers) {
  for (int i = 0; i < n_providers; ++i) {
    const size_t length = strlen(providers[i]);
    if (strncmp(key, providers[i], length) == 0 && key[length] == '.') return true;
  }
  return false;
}

bool configure(Adapted* model, const Settings& settings) {
  const Engine* e = model->engine;
  char list[kNameBytes];
  char* providers[kMaxProviders];
  snprintf(list, sizeof(list), "%s", settings.get("provider", ""));
  const int n_providers = split(list, providers);
  const auto entry = [&](const char* key, const char* value) { return ok(model, e->api.add_config_entry(e->options, key, value), key); };
  if (n_providers && !entry(kNoFallback, "1")) return false;
  if (e->has_placement && !entry(kRecordPlacement, "1")) return false;
  for (int i = 0; i < settings.count; ++i) {
    const auto [key, value] = settings.pairs[i];
    if (strcmp(key, "provider") == 0 || strcmp(key, "library") == 0 || is_option(key, providers, n_providers)) continue;
    if (!strchr(key, '.') || strstr(key, "ExecutionProvider.")) return model->fail("provider.conf: %s is no setting of ONNX Runtime", key);
    if (!entry(key, value)) return false;
  }
  if (model->threads && !ok(model, e->api.set_intra_op_num_threads(e->options, model->threads), "threads")) return false;
  for (int i = 0; i < n_providers; ++i) {
    if (!append_provider(model, providers[i], settings)) return false;
  }
  return true;
}

bool create_session(Adapted* model, const char* path) {
  Engine* e = model->engine;
#if defined(_WIN32)
  wchar_t wide[4096];
  if (!MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 4096)) return model->fail("%s: not a path in UTF-8", path);
  return ok(model, e->api.create_session(e->env, wide, e->options, &e->session), path);
#else
  return ok(model, e->api.create_session(e->env, path, e->options, &e->session), path);
#endif
}

}  // namespace

bool open_session(Adapted* model, const char* path, const Settings& settings) {
  Engine* e = model->engine;
  if (!bind(model, settings.get("library", "libonnxruntime.so.1"))) return false;
  if (!ok(model, e->api.create_env(kFatal, "edgeort", &e->env), "it cannot start")) return false;
  if (!ok(model, e->api.disable_telemetry_events(e->env), "telemetry")) return false;
  if (!ok(model, e->api.create_session_options(&e->options), "options")) return false;
  return configure(model, settings) && create_session(model, path);
}

}  // namespace edgeort
