// Loop. Operands: the plan of the body, the number of trips (or none), the first condition (or none), the carried values, what
// the body reads besides. The body's inputs: trip, condition, carried values, the rest; its outputs: condition, carried values,
// an element of each scanned result. Parameters: the number of carried values; 1 where the condition always holds.
//
// Where carried values keep their shapes, and the number of trips is known if results are scanned, shapes are inferred as for
// any operator; else the node waits for its operands and runs while it is prepared.
#include "bodies.h"

namespace edgeort {
namespace {

constexpr int kTrips = 1, kCondition = 2, kCarried = 3;
constexpr i64 kEndless = 0x7fffffffffffffff;

size_t padded(const Tensor& t) { return (bytes(t) + kAlignment - 1) & ~(kAlignment - 1); }

// One loop, while it is prepared or while it runs. `now` are the carried values before the next trip.
struct State {
  int carried, rest;
  bool counted;
  i64 trip;
  u8 condition;
  Tensor* now;
  Growing* scans;  // of a loop that runs while it is prepared: what it scanned
  Tensor* element;

  template <class Node>
  i64 trips(const Node& node, const void* value) {
    return node.has(kTrips) ? max_of(0, *static_cast<const i64*>(value)) : kEndless;
  }

  // Shapes and data of the body's inputs.
  template <class Node>
  bool give_all(const Node& node, const Body& body) {
    const Tensor at = {&trip, {}, 0, 0, DType::i64}, go = {&condition, {}, 0, 0, DType::boolean};
    if (!body.set(0, at) || !body.set(1, go)) return false;
    for (int i = 0; i < carried; ++i) {
      if (!body.set(2 + i, now[i])) return false;
    }
    return give(node, body, 2 + carried, kCarried + carried, rest);
  }
};

bool is_one(const Prepare& p, int i, DType dtype) { return !p.has(i) || (p.in(i).dtype == dtype && count(p.in(i)) == 1); }

Status bind(Prepare& p, State** out) {
  const auto& params = p.params<ListParams>();
  const i64 carried = params.values[0];
  const Body body = p.body(0);
  if (carried < 0 || p.inputs() < kCarried || carried > p.inputs() - kCarried || carried > p.outputs())
    return p.fail("it cannot carry %lld values", static_cast<long long>(carried));
  if (!is_one(p, kTrips, DType::i64) || !is_one(p, kCondition, DType::boolean))
    return p.fail("the number of trips must be one int64, the condition one boolean");
  const int scans = p.outputs() - static_cast<int>(carried);
  if (body.inputs() != p.inputs() - kCarried + 2 || body.outputs() != p.outputs() + 1)
    return p.fail("the body has another number of inputs or outputs");
  if (body.out(0).dtype != DType::boolean) return p.fail("the body's condition is no boolean");
  if (params.values[1] == 1 && !p.has(kTrips)) return p.fail("it would never end");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  s->carried = static_cast<int>(carried);
  s->rest = p.inputs() - kCarried - s->carried;
  s->counted = params.values[1] == 1;
  s->now = static_cast<Tensor*>(p.keep(static_cast<u64>(carried + 1) * sizeof(Tensor)));
  s->element = static_cast<Tensor*>(p.keep(static_cast<u64>(scans + 1) * sizeof(Tensor)));
  s->scans = static_cast<Growing*>(p.keep(static_cast<u64>(scans + 1) * sizeof(Growing)));
  if (!s->now || !s->scans || !s->element) return p.out_of_memory();
  for (int i = 0; i < s->carried; ++i) {
    if (!p.has(kCarried + i)) return p.fail("carried value %d is absent", i);
    s->now[i] = p.in(kCarried + i);
  }
  *out = s;
  return Status::ok;
}

Status set_scanned(Prepare& p, int output, i64 trips, const Tensor& element, const void* data) {
  if (element.rank == kMaxRank) return p.fail("output %d would have rank %d", output, kMaxRank + 1);
  Tensor t = element;
  t.rank = static_cast<u8>(element.rank + 1);
  t.dims[0] = trips;
  for (int d = 0; d < element.rank; ++d) t.dims[d + 1] = element.dims[d];
  return data ? set_known(p, output, t, data) : p.set(output, t.dtype, t.dims, t.rank);
}

// What one trip made: the condition, the carried values (copied to `next`), the scanned elements.
Status collect(Prepare& p, State& s, const Body& body, Growing* next) {
  next->size = 0;
  for (int i = 0; i < s.carried; ++i) {
    const Tensor& t = body.out(1 + i);
    static constexpr u8 kZeros[kAlignment] = {};
    if (!next->append(t.data, bytes(t)) || !next->append(kZeros, padded(t) - bytes(t))) return p.out_of_memory();
  }
  size_t at = 0;
  for (int i = 0; i < s.carried; ++i) {
    s.now[i] = body.out(1 + i);
    s.now[i].data = next->data + at;
    EDGEORT_TRY(own(p, s.now[i].dtype, s.now[i].data, count(s.now[i])));
    at += padded(s.now[i]);
  }
  for (int i = 0; i < p.outputs() - s.carried; ++i) {
    const Tensor& t = body.out(1 + s.carried + i);
    if (s.trip > 0 && !same_shape(t, s.element[i])) return p.fail("output %d: its elements have different shapes", s.carried + i);
    s.element[i] = t;
    const size_t before = s.scans[i].size;
    if (!s.scans[i].append(t.data, bytes(t))) return p.out_of_memory();
    EDGEORT_TRY(own(p, t.dtype, s.scans[i].data + before, count(t)));
  }
  return Status::ok;
}

Status run_trips(Prepare& p, State& s, const Body& body, Growing buffers[2]) {
  const i64 trips = s.trips(p, p.value(kTrips));
  for (s.trip = 0; s.trip < trips && (s.counted || s.condition); ++s.trip) {
    if (!s.give_all(p, body)) return p.fail("the body reads another element type");
    if (body.run() != Status::ok) return p.failed(body, s.trip);
    if (count(body.out(0)) != 1) return p.fail("the body's condition is not one boolean");
    s.condition = *body.out(0).as<const u8>();
    EDGEORT_TRY(collect(p, s, body, &buffers[s.trip & 1]));
  }
  for (int i = 0; i < s.carried; ++i) EDGEORT_TRY(set_known(p, i, s.now[i], s.now[i].data));
  for (int i = s.carried; i < p.outputs(); ++i) {
    const int scan = i - s.carried;
    const void* made = s.scans[scan].data ? static_cast<const void*>(s.scans[scan].data) : &s;  // where there are no elements
    EDGEORT_TRY(set_scanned(p, i, s.trip, s.trip ? s.element[scan] : body.out(1 + i), made));
  }
  return Status::ok;
}

// Runs the loop now.
Status run_early(Prepare& p, State& s, const Body& body) {
  if (!all_known(p, kTrips, p.inputs())) return p.wait();
  s.condition = p.has(kCondition) ? *static_cast<const u8*>(p.value(kCondition)) : 1;
  Growing buffers[2] = {{&p.pages(), nullptr, 0, 0}, {&p.pages(), nullptr, 0, 0}};
  for (int i = 0; i < p.outputs() - s.carried; ++i) s.scans[i].pages = &p.pages();
  const Status status = run_trips(p, s, body, buffers);
  for (Growing& buffer : buffers) buffer.free();
  for (int i = 0; i < p.outputs() - s.carried; ++i) s.scans[i].free();
  return status;
}

Status prepare(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s));
  const Body body = p.body(0);
  const void* trips = p.value(kTrips);
  bool ahead = s->give_all(p, body) && body.prepare() == Status::ok && body.is_whole();
  ahead = ahead && count(body.out(0)) == 1 && (p.outputs() == s->carried || (s->counted && trips));
  size_t all = 0;
  for (int i = 0; ahead && i < s->carried; ++i) {
    ahead = same_shape(s->now[i], body.out(1 + i));
    all += padded(s->now[i]);
  }
  if (!ahead) return run_early(p, *s, body);
  for (int i = 0; i < s->carried; ++i) EDGEORT_TRY(p.set(i, s->now[i].dtype, s->now[i].dims, s->now[i].rank));
  for (int i = s->carried; i < p.outputs(); ++i) EDGEORT_TRY(set_scanned(p, i, s->trips(p, trips), body.out(1 + i), nullptr));
  p.scratch(2 * u64{all});
  return Status::ok;
}

void run(Run& r) {
  State& s = r.state<State>();
  const Body body = r.body(0);
  const i64 trips = s.trips(r, r.in(kTrips).data);
  size_t half = 0;
  for (int i = 0; i < s.carried; ++i) {
    s.now[i] = r.in(kCarried + i);
    half += padded(s.now[i]);
  }
  s.condition = r.has(kCondition) ? *r.in(kCondition).as<const u8>() : 1;
  for (s.trip = 0; s.trip < trips && (s.counted || s.condition); ++s.trip) {
    if (!s.give_all(r, body) || body.run() != Status::ok) return;  // neither happens: it is whole
    u8* to = static_cast<u8*>(r.scratch()) + (s.trip & 1) * half;
    s.condition = *body.out(0).as<const u8>();
    for (int i = 0; i < s.carried; ++i) {
      copy(to, body.out(1 + i).data, bytes(s.now[i]));
      s.now[i].data = to;
      to += padded(s.now[i]);
    }
    for (int i = s.carried; i < r.outputs(); ++i) {
      const Tensor& element = body.out(1 + i);
      if (r.wants(i)) copy(r.out(i).as<u8>() + static_cast<size_t>(s.trip) * bytes(element), element.data, bytes(element));
    }
  }
  for (int i = 0; i < s.carried; ++i) {
    if (r.wants(i)) copy(r.out(i).data, s.now[i].data, bytes(s.now[i]));
  }
}

}  // namespace

extern const OpDef kLoop;
const OpDef kLoop = {"Loop", sizeof(ListParams), prepare, run, nullptr, nullptr, 1};

}  // namespace edgeort
